package track

import (
	"errors"
	"strings"
)

// Table is the name of the platform's table of tracks. The zero Table is tracks, wherever the connection's search path
// finds it.
type Table struct {
	schema, name string
}

// ErrTableName refuses a text that is not one table's name.
var ErrTableName = errors.New(`is not a table's name as SQL writes it, like tracks, media.tracks or "Tracks"`)

// ParseTable reads a table's name as SQL writes it: with or without a schema, folded to lower case but where it is quoted.
func ParseTable(text string) (Table, error) {
	if text == "" {
		return Table{}, nil
	}
	var parts []string
	for rest := text; ; {
		part, after, ok := cutIdentifier(rest)
		if !ok {
			return Table{}, ErrTableName
		}
		parts = append(parts, part)
		if after == "" {
			break
		}
		if after[0] != '.' || len(parts) == 2 {
			return Table{}, ErrTableName
		}
		rest = after[1:]
	}
	if len(parts) == 1 {
		return Table{name: parts[0]}, nil
	}
	return Table{parts[0], parts[1]}, nil
}

// cutIdentifier takes one identifier off the beginning of text. Postgres cuts a name after 63 bytes; such a one is refused.
func cutIdentifier(text string) (name, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) {
		for i := 1; i < len(text); i++ {
			if text[i] != '"' {
				continue
			}
			if i+1 < len(text) && text[i+1] == '"' {
				i++
				continue
			}
			name = strings.ReplaceAll(text[1:i], `""`, `"`)
			return name, text[i+1:], name != "" && len(name) <= 63 && !strings.ContainsRune(name, 0)
		}
		return "", "", false
	}
	end := 0
	for end < len(text) && isPlain(text[end], end == 0) {
		end++
	}
	return strings.ToLower(text[:end]), text[end:], end > 0 && end <= 63
}

func isPlain(c byte, first bool) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
	return letter || !first && (c >= '0' && c <= '9' || c == '$')
}

// Name returns the bare name, without schema and quotes.
func (t Table) Name() string {
	if t.name == "" {
		return "tracks"
	}
	return t.name
}

// Schema returns the schema that the name says, without quotes; empty: the search path finds it.
func (t Table) Schema() string { return t.schema }

// String returns the name as it stands in an SQL statement, quoted wherever it may need it.
func (t Table) String() string { return t.Beside(t.Name()) }

// Beside returns the name of something in the table's schema, as it stands in an SQL statement.
func (t Table) Beside(name string) string {
	if t.schema == "" {
		return quote(name)
	}
	return quote(t.schema) + "." + quote(name)
}

func quote(name string) string {
	plain := name != ""
	for i := range len(name) {
		c := name[i]
		plain = plain && isPlain(c, i == 0) && (c < 'A' || c > 'Z') && c < 0x80 && c != '$'
	}
	if plain && !isReserved(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// isReserved reports whether Postgres takes name for a keyword where a table's name is expected. A few more are quoted
// than need be.
func isReserved(name string) bool {
	return strings.Contains(" all analyse analyze and any array as asc asymmetric authorization between binary both case cast"+
		" check collate collation column concurrently constraint create cross current_catalog current_date current_role"+
		" current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except"+
		" false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join"+
		" lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer"+
		" overlaps placing primary references returning right select session_user similar some symmetric table tablesample"+
		" then to trailing true union unique user using variadic verbose when where window with ", " "+name+" ")
}
