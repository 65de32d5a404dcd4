// Package web embeds the console page of the local stack. It has no build step.
package web

import "embed"

// FS holds the page and what it loads.
//
//go:embed index.html *.css *.js
var FS embed.FS
