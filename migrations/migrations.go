// Package migrations embeds the schema's migrations, in golang-migrate's format.
//
// Every file may be run again after it failed half-way, and takes no lock on tracks
// that lasts longer than a change of the catalogue, but for 000985, whose index holds
// back writers (not readers) for one scan. An index that is built CONCURRENTLY stands
// alone in its file, because Postgres refuses it beside other statements.
package migrations

import "embed"

// FS holds the files.
//
//go:embed *.sql
var FS embed.FS
