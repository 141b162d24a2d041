import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const playwrightVersion = '1.64.1'

function findChromium() {
  const paths = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  return paths.find((path) => path && existsSync(path))
}

/** A real Chromium, driven from here; undefined, with the reason told, when it cannot be installed. What drives it goes into the folder. */
export async function launchBrowser(folder) {
  if (!findChromium()) {
    try {
      execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], {
        stdio: 'ignore',
        timeout: 540_000,
      })
    } catch {
      console.log('SKIPPED browser: Chromium is not here and apt-get could not install it')
      return undefined
    }
  }
  const executablePath = findChromium()
  if (!executablePath) {
    console.log('SKIPPED browser: Chromium was installed but is not where it should be')
    return undefined
  }
  try {
    const install = ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
    execFileSync('npm', [...install, `playwright-core@${playwrightVersion}`], { stdio: 'inherit', timeout: 300_000 })
  } catch {
    console.log('SKIPPED browser: playwright-core, which drives Chromium, could not be installed')
    return undefined
  }
  const { chromium } = createRequire(join(folder, 'package.json'))('playwright-core')
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
