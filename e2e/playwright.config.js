import { defineConfig } from '@playwright/test';

export default defineConfig({
  testMatch: '*.spec.js',
  globalSetup: './stack.js',
  outputDir: 'dist/results',
  fullyParallel: true,
  workers: 2,
  timeout: 90_000,
  expect: { timeout: 20_000 },
  forbidOnly: true,
  retries: process.env.CI ? 1 : 0, // a browser on a busy machine; what passes only then is reported as flaky
  reporter: [['list']],
  use: { screenshot: 'only-on-failure', trace: 'retain-on-failure' },
  projects: [
    {
      name: 'chromium',
      use: {
        browserName: 'chromium',
        launchOptions: {
          executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
          args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync',
            '--autoplay-policy=no-user-gesture-required'],
        },
      },
    },
    {
      // By WebDriver BiDi, which Debian's Firefox speaks as it comes.
      name: 'firefox',
      grepInvert: /@once/,
      use: {
        browserName: 'firefox',
        channel: 'moz-firefox',
        launchOptions: {
          executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
          firefoxUserPrefs: { 'media.autoplay.default': 0 },
        },
      },
    },
  ],
});
