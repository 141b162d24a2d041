/** Where hosts that show apps find the page of a job. */
export const jobPageUri = 'ui://lilypad/job.html'
export const jobPageMediaType = 'text/html;profile=mcp-app'

/** What a tool says so that hosts show the page beside its result; older hosts read the second name. */
export const jobPageMeta = { ui: { resourceUri: jobPageUri }, 'ui/resourceUri': jobPageUri }
