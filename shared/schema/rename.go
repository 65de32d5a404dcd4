package schema

import (
	"regexp"
	"strings"

	"trackstore/shared/track"
)

// The migrations call the platform's table tracks, as a bare word or as the whole of a
// text. Comments, other texts, and longer names are passed over.
var mention = regexp.MustCompile(`--[^\n]*|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?i:DROP INDEX (?:CONCURRENTLY )?(?:IF EXISTS )?)tracks_\w+|\btracks\b`)

// forTable returns a migration for a platform whose table has another name. The table's
// indexes are in its own schema; everything else that trackstore makes is where the
// connection's search path begins.
func forTable(sql string, tracks track.Table) string {
	name := tracks.String()
	if name == "tracks" {
		return sql
	}
	return mention.ReplaceAllStringFunc(sql, func(found string) string {
		switch index := strings.LastIndexByte(found, ' ') + 1; {
		case found == "tracks":
			return name
		case found == "'tracks'":
			return "'" + strings.ReplaceAll(name, "'", "''") + "'"
		case len(found) > 4 && strings.EqualFold(found[:4], "DROP"):
			return found[:index] + tracks.Beside(found[index:])
		}
		return found
	})
}
