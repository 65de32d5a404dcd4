package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// notUUID is the condition that a column's text is no UUID.
const notUUID = "%s::text !~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'"

// wrongID names an id that is no uuid: one that can become one, or one that cannot.
func (c *checker) wrongID(name string, col column) error {
	object, others := "column "+name, int64(0)
	if col.Category == "S" {
		var err error
		if others, err = c.count(name, fmt.Sprintf(notUUID, name)); err != nil {
			return err
		}
	}
	switch {
	case col.Category == "N":
		c.refuse("integer_id", object, "is "+col.Type+", and ids are UUIDs in the API, in keys and in trackstore's own tables", c.uuidBeside(name))
		return nil
	case others > 0 || slices.Contains([]string{"character(26)", "character varying(26)", "bytea"}, col.Type):
		c.refuse("text_id", object, fmt.Sprintf("is %s and holds what are no UUIDs (ULIDs, or names that an identity provider gave), and ids are UUIDs in the API, in keys and in trackstore's own tables", col.Type),
			c.uuidBeside(name))
		return nil
	}
	fix, err := c.toUUID(name)
	c.refuse("type", object, "is "+col.Type+" and must be uuid", fix)
	return err
}

// uuidBeside is what to do where the platform's ids stay what they are.
func (c *checker) uuidBeside(name string) string {
	old := name + "_of_platform"
	renamed := fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s; -- the platform's own statements follow; docs/decisions.md says what other ids would take\n",
		c.tracks, name, old)
	if name == "id" {
		return renamed + fmt.Sprintf("ALTER TABLE %s ADD COLUMN id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid();", c.tracks)
	}
	return renamed + c.fromOther(name, old)
}

// fromOther makes a column of UUIDs, equal where those of another are.
func (c *checker) fromOther(name, other string) string {
	return fmt.Sprintf("ALTER TABLE %[1]s ADD COLUMN %[2]s uuid;\n"+
		"UPDATE %[1]s SET %[2]s = md5(%[3]s::text)::uuid; -- any UUID that is always the same for a user; tokens bear it as sub\n"+
		"ALTER TABLE %[1]s ALTER COLUMN %[3]s DROP NOT NULL;", c.tracks, name, ident(other))
}

// newKey is a default for a key of the platform's own.
func newKey(col column) string {
	const hex = "replace(gen_random_uuid()::text, '-', '')"
	var length int
	if _, found, _ := strings.Cut(col.Type, "("); found != "" {
		_, _ = fmt.Sscanf(found, "%d", &length) // of numeric(10,2) the first
	}
	switch {
	case col.Base == "uuid":
		return "gen_random_uuid()"
	case length == 0 || length >= 36:
		return "gen_random_uuid()::text"
	case length == 26:
		return "'0' || left(" + hex + ", 25)" // in the form of a ULID
	}
	return fmt.Sprintf("left(%s, %d)", hex, length)
}

// toUUID changes a column's type, and those of the columns that foreign keys tie it to, without
// which Postgres refuses.
func (c *checker) toUUID(name string) (string, error) {
	const tied = `
		WITH RECURSIVE tied (rel, att) AS (
			SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = $1::oid AND attname = $2
			UNION
			SELECT side.rel, side.att FROM tied JOIN pg_constraint k ON k.contype = 'f' AND array_length(k.conkey, 1) = 1
				AND (k.conrelid = tied.rel AND k.conkey[1] = tied.att OR k.confrelid = tied.rel AND k.confkey[1] = tied.att),
			LATERAL (VALUES (k.conrelid, k.conkey[1]), (k.confrelid, k.confkey[1])) AS side (rel, att)
		) `
	rows, err := c.work.Query(c.ctx, tied+`
		SELECT DISTINCT k.conrelid::regclass::text, k.conname::text, pg_get_constraintdef(k.oid) FROM tied
		JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = tied.rel AND tied.att = ANY (k.conkey) ORDER BY 1, 2`, c.table.OID, name)
	if err != nil {
		return "", err
	}
	type foreign struct{ Table, Name, Definition string }
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[foreign])
	if err != nil {
		return "", err
	}
	rows, err = c.work.Query(c.ctx, tied+`
		SELECT rel::regclass::text, quote_ident(attname) FROM tied JOIN pg_attribute a ON a.attrelid = rel AND a.attnum = att ORDER BY 1, 2`, c.table.OID, name)
	if err != nil {
		return "", err
	}
	type place struct{ Table, Column string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	if err != nil {
		return "", err
	}
	var lines []string
	for _, k := range keys {
		lines = append(lines, fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s;", k.Table, ident(k.Name)))
	}
	for _, p := range columns {
		lines = append(lines, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT, ALTER COLUMN %s TYPE uuid USING %s::uuid;", p.Table, p.Column, p.Column, p.Column))
	}
	for _, k := range keys {
		lines = append(lines, fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s;", k.Table, ident(k.Name), k.Definition))
	}
	return strings.Join(lines, "\n"), nil
}
