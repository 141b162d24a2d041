import { createHashHistory, createRootRoute, createRoute, createRouter } from '@tanstack/react-router'
import { AccountPage } from './account/account-page.tsx'
import { AppFrame } from './app/app-frame.tsx'
import { ConnectPage } from './connect/connect-page.tsx'
import { ModelsPage } from './models/models-page.tsx'
import { PlaygroundPage } from './playground/playground-page.tsx'

const rootRoute = createRootRoute({ component: AppFrame, notFoundComponent: ModelsPage })
const modelsRoute = createRoute({ getParentRoute: () => rootRoute, path: '/', component: ModelsPage })
const playgroundRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/playground',
  validateSearch: ({ model }: { readonly model?: unknown }): { readonly model?: string } =>
    typeof model === 'string' ? { model } : {},
  component: function Playground() {
    const { model } = playgroundRoute.useSearch()
    const navigate = playgroundRoute.useNavigate()
    return <PlaygroundPage chosen={model} onChoose={(id) => void navigate({ search: { model: id }, replace: true })} />
  },
})
const connectRoute = createRoute({ getParentRoute: () => rootRoute, path: '/connect', component: ConnectPage })
const accountRoute = createRoute({ getParentRoute: () => rootRoute, path: '/account', component: AccountPage })

/** The pages, behind the `#` of the address: the gateway serves one document and owns every other path. */
export const router = createRouter({
  routeTree: rootRoute.addChildren([modelsRoute, playgroundRoute, connectRoute, accountRoute]),
  history: createHashHistory(),
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
