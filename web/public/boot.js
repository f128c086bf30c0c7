// Sets the colour scheme before the first paint. A file of its own, because the page's policy allows no inline script.
(function () {
  var scheme = null;
  try { scheme = localStorage.getItem('gantry-color-scheme'); } catch (e) { /* storage is off: the system's scheme */ }
  if (scheme !== 'light' && scheme !== 'dark') {
    scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  }
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();
