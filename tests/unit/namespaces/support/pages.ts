/** The longest page. */
export const ALL = { limit: 1000 } as const;
