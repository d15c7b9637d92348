import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** All JavaScript together, compressed, as the first view and every other page need it. */
const MOST_BYTES = 400 * 1024;

function budget(): Plugin {
  return {
    name: "budget",
    generateBundle(_, bundle) {
      let bytes = 0;
      for (const file of Object.values(bundle)) {
        if (file.type === "chunk") bytes += gzipSync(file.code).length;
      }
      this.info(`JavaScript: ${(bytes / 1024).toFixed(1)} KB compressed, of ${MOST_BYTES / 1024} KB`);
      if (bytes > MOST_BYTES) this.error("the page has more JavaScript than it may");
    },
  };
}

// `npm run dev` serves the page beside a running server: MOVIOLA=http://127.0.0.1:8000.
const server = process.env["MOVIOLA"] ?? "http://127.0.0.1:8000";
const routes =
  "^/(files|segments|playlist|cut|frame|thumbnail|templates|transitions|storyboard|contact-sheet|waveform|loudness|silence|scenes" +
  "|coverage|extras|jobs|generate_videos|metrics|health|docs|openapi.json|streams|recordings|live)(/|$|\\?)";

export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // The player is the largest part and no part of the first view.
    rollupOptions: { output: { manualChunks: { hls: ["hls.js"] } } },
    reportCompressedSize: false,
  },
  plugins: [budget()],
  server: { proxy: { [routes]: { target: server } } },
});
