/** Gantry's sign: a beam on two legs, with a hook. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--g-brand)" />
      <g fill="none" stroke="#fff" strokeWidth="2.4" strokeLinecap="round" strokeLinejoin="round">
        <path d="M5.5 10h21M9 10v15M23 10v15M16 10v6.5" />
        <path d="M16 16.5c3 0 3 4.5 0 4.5-1.6 0-2.3-1.1-2.2-2.2" />
      </g>
    </svg>
  );
}
