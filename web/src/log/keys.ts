/** The keys of the log viewer, as the help shows them. */
export const logKeys: [string, string][] = [
  ['j k', 'One line down, up'], ['g G', 'The begin, the end'], ['Space', 'One page down'], ['/', 'Search'], ['n N', 'The next match, the one before'],
  ['f', 'Follow the log as it grows'], ['t', 'Show times'], ['c', 'Copy the marked lines'], ['Esc', 'Leave the search; mark nothing'],
];
