// Package migrations embeds the schema's migrations, in golang-migrate's format.
//
// Every file may be run again after it failed half-way, and takes no lock on tracks that
// lasts longer than a change of the catalogue or a scan of a small table. An index that is
// built CONCURRENTLY stands alone in its file, because Postgres refuses it beside other
// statements.
package migrations

import "embed"

// FS holds the files.
//
//go:embed *.sql
var FS embed.FS
