/** The class under which antd puts its CSS variables; the console's own stylesheet uses them too. */
export const variablesClass = 'guitai-console';
