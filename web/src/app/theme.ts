/** The look: quiet greys, one accent, and colours that mean a status. The colours themselves are in theme.css. */
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core';

const petrol: MantineColorsTuple = ['#eaf6f7', '#d3e9eb', '#a5d3d7', '#74bcc2', '#4ea9b0', '#369da5', '#2797a0', '#17818a', '#12717a', '#0b626a'];

export const theme = createTheme({
  primaryColor: 'petrol',
  primaryShade: { light: 8, dark: 7 },
  colors: { petrol },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, "Cascadia Mono", "Segoe UI Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '19px' },
  defaultRadius: 'sm',
  radius: { sm: '6px' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  autoContrast: true,
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'sm' } },
    Tooltip: { defaultProps: { openDelay: 150, withArrow: true, fz: 12 } },
    Modal: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' }, centered: true, size: 'lg', transitionProps: { duration: 120 }, overlayProps: { backgroundOpacity: 0.4 } } },
    Notification: { defaultProps: { closeButtonProps: { 'aria-label': 'Close the message' } } },
    Drawer: { defaultProps: { transitionProps: { duration: 120 }, overlayProps: { backgroundOpacity: 0.3 } } },
    Menu: { defaultProps: { transitionProps: { duration: 80 }, shadow: 'md' } },
  },
});

/** Texts on light tints of their colour, dark enough to be read by everybody (WCAG 2.1, 1.4.3: 4.5 to 1). */
export const readable: CSSVariablesResolver = () => ({
  variables: {},
  light: { '--mantine-color-red-light-color': '#a32020', '--mantine-color-yellow-light-color': '#7a4f00', '--mantine-color-teal-light-color': '#0a6b52' },
  dark: {},
});
