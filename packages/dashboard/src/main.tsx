import './zod-without-eval.ts'
import './design/tokens.css'
import './design/base.css'
import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { applyTheme, readTheme } from './app/theme.ts'
import { router } from './router.tsx'
import { SessionProvider } from './session/session.tsx'

applyTheme(readTheme())
const queries = new QueryClient({ defaultOptions: { queries: { retry: 1, staleTime: 5000 } } })
const root = document.getElementById('root')
if (root)
  createRoot(root).render(
    <StrictMode>
      <CSPProvider disableStyleElements>
        <QueryClientProvider client={queries}>
          <SessionProvider>
            <RouterProvider router={router} />
          </SessionProvider>
        </QueryClientProvider>
      </CSPProvider>
    </StrictMode>,
  )
