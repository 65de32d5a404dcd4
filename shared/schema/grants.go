package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// grant is what a function does with a table. The platform's table is tracks.
type grant struct {
	table      string
	privileges []string // SELECT, INSERT, UPDATE, DELETE; UPDATE (…) of some columns
}

// storageColumns are those of the platform's table that a flip or a stored upload writes.
const storageColumns = "storage_backend, storage_key, storage_version_id, storage_bucket, file_path, file_version, upload_seq, file_size, format, content_type, status, updated_at"

var (
	storeTracks = grant{"tracks", []string{"SELECT", "UPDATE (" + storageColumns + ")"}}
	discards    = grant{"track_discards", []string{"SELECT", "INSERT", "UPDATE", "DELETE"}}
	adoption    = grant{"trackstore_adoption", []string{"SELECT"}}
	places      = grant{"track_places", []string{"SELECT", "INSERT", "UPDATE"}}
	tellEvents  = grant{"track_events", []string{"INSERT"}}
	takeEvents  = grant{"track_events", []string{"SELECT", "UPDATE"}}
)

// grants are what each function needs, and no more. Whoever updates a row of the platform
// needs nothing of trackstore's: the triggers have their own rights.
var grants = []struct {
	function string
	does     string
	grants   []grant
}{
	{"presign-upload", "opens, confirms and aborts uploads; plays, renames and deletes tracks", []grant{
		{"tracks", []string{"SELECT", "INSERT (id, creator_id, title, file_path, status)", "UPDATE (title, deleted_at, " + storageColumns + ")"}},
		{"track_uploads", []string{"SELECT", "INSERT", "UPDATE"}},
		{"track_discards", []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
		{"companion_sessions", []string{"SELECT", "INSERT", "UPDATE", "DELETE"}}, places, tellEvents,
	}},
	{"object-created", "confirms uploads", []grant{
		storeTracks, {"track_uploads", []string{"SELECT", "UPDATE"}}, discards, places, tellEvents, takeEvents,
	}},
	{"migrate-batch", "moves tracks; trackstore migrate-storage needs the same", []grant{
		storeTracks, discards, places, adoption, tellEvents,
		{"track_migrations", []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
		{"track_migration_direction", []string{"SELECT", "INSERT", "UPDATE"}},
		{"track_migration_ranges", []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
		{"track_uploads", []string{"SELECT"}},
	}},
	{"sweep-uploads", "settles uploads and removes bytes; trackstore sweep needs the same", []grant{
		{"track_sweep_positions", []string{"SELECT", "INSERT", "UPDATE"}},
		{"tracks", []string{"SELECT", "UPDATE (deleted_at, " + storageColumns + ")"}}, discards, places, adoption, tellEvents,
		{"track_uploads", []string{"SELECT", "UPDATE", "DELETE"}},
		{"track_migrations", []string{"SELECT", "DELETE"}},
		{"track_migration_direction", []string{"SELECT"}},
		{"track_migration_ranges", []string{"SELECT"}},
		{"track_events", []string{"SELECT", "UPDATE", "DELETE"}},
		{"companion_sessions", []string{"SELECT", "UPDATE", "DELETE"}},
	}},
	{"deliver-events", "takes events out; trackstore events needs the same", []grant{takeEvents}},
	{"migrate-schema", "finds that the schema is up; whoever brings it up owns the platform's table", []grant{
		{"tracks", []string{"SELECT (storage_backend)"}}, {historyTable, []string{"SELECT"}},
	}},
}

// Grants returns the statements that let a role be what each function needs: for every
// function a comment with its name, then its statements. One role may have all of them, or
// each function its own. migrate-schema finds nothing to do with these, once trackstore
// schema up has run as the owner of the platform's table; what brings the schema up is the owner.
func Grants(ctx context.Context, db Database, role string) (string, error) {
	s, err := connect(ctx, db)
	if err != nil {
		return "", fmt.Errorf("schema grants: %w", err)
	}
	defer s.Close() //nolint:errcheck // nothing was written
	c := &checker{session: s, role: role}
	if err := c.begin(); err != nil {
		return "", fmt.Errorf("schema grants: %w", err)
	}
	if c.table == nil || !c.isUp() {
		return "", fmt.Errorf("schema grants: the tables are not there yet: trackstore schema up first")
	}
	var own string
	if err := s.work.QueryRow(ctx, "SELECT current_schema()::text").Scan(&own); err != nil {
		return "", fmt.Errorf("schema grants: %w", err)
	}
	var text strings.Builder
	for _, function := range grants {
		fmt.Fprintf(&text, "-- %s: %s\n", function.function, function.does)
		schemas := []string{own}
		if c.table.Schema != own {
			schemas = append(schemas, c.table.Schema)
		}
		for _, schema := range schemas {
			fmt.Fprintf(&text, "GRANT USAGE ON SCHEMA %s TO %s;\n", ident(schema), ident(role))
		}
		for _, g := range function.grants {
			fmt.Fprintln(&text, c.statement(g, own))
		}
		fmt.Fprintln(&text)
	}
	return strings.TrimRight(text.String(), "\n") + "\n", nil
}

func (c *checker) statement(g grant, own string) string {
	name := ident(own) + "." + ident(g.table)
	if g.table == "tracks" {
		name = ident(c.table.Schema) + "." + ident(c.table.Name)
	}
	return fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(g.privileges, ", "), name, ident(c.role))
}

// missingGrants returns the statements for the rights that the role lacks, of all functions.
func (c *checker) missingGrants() ([]string, error) {
	var own string
	if err := c.work.QueryRow(c.ctx, "SELECT current_schema()::text").Scan(&own); err != nil {
		return nil, err
	}
	var lines []string
	add := func(line string) {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, schema := range []string{own, c.table.Schema} {
		var may bool
		if err := c.work.QueryRow(c.ctx, "SELECT has_schema_privilege($1::name, $2::text, 'USAGE')", c.role, schema).Scan(&may); err != nil {
			return nil, err
		}
		if !may {
			add(fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s;", ident(schema), ident(c.role)))
		}
	}
	for _, function := range grants {
		for _, g := range function.grants {
			name := ident(own) + "." + ident(g.table)
			if g.table == "tracks" {
				name = ident(c.table.Schema) + "." + ident(c.table.Name)
			}
			for _, privilege := range g.privileges {
				has, err := c.hasPrivilege(name, privilege)
				if err != nil {
					return nil, err
				}
				if !has {
					add(c.statement(grant{g.table, []string{privilege}}, own))
				}
			}
		}
	}
	return lines, nil
}

// hasPrivilege takes "UPDATE (a, b)" as well as "UPDATE".
func (c *checker) hasPrivilege(table, privilege string) (bool, error) {
	verb, list, some := strings.Cut(privilege, " (")
	if !some {
		var has bool
		err := c.work.QueryRow(c.ctx, "SELECT has_table_privilege($1::name, $2::text, $3::text)", c.role, table, verb).Scan(&has)
		return has, err
	}
	rows, err := c.work.Query(c.ctx, `
		SELECT has_column_privilege($1::name, $2::text, attname::text, $3::text) FROM pg_attribute
		WHERE attrelid = to_regclass($2::text) AND attname = ANY ($4) AND NOT attisdropped`,
		c.role, table, verb, strings.Split(strings.TrimSuffix(list, ")"), ", "))
	if err != nil {
		return false, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	return !slices.Contains(all, false), err
}
