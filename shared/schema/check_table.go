package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is the platform's table as the catalogue has it.
type table struct {
	OID       uint32
	Kind      string
	Schema    string
	Name      string
	Owner     string
	Owned     bool // the role that connects may do what the owner may
	Unlogged  bool
	Partition bool
	Parent    bool // others inherit from it
	Child     bool
	Security  bool // row level security
	Forced    bool
	MadeByUs  bool
	columns   []column
}

type column struct {
	Name      string
	Type      string // with its length
	Base      string // of a domain, what is beneath; else the type without length
	Class     string // pg_type.typtype of the type itself: b, e (enum), d (domain)
	Category  string // pg_type.typcategory of the base
	NotNull   bool
	Default   bool
	Generated bool // always
	Key       bool // part of the primary key
	Exact     bool // texts that differ are never equal
}

func (t *table) column(name string) *column {
	for i := range t.columns {
		if t.columns[i].Name == name {
			return &t.columns[i]
		}
	}
	return nil
}

func (c *checker) readTable() (*table, error) {
	rows, err := c.work.Query(c.ctx, `
		SELECT c.oid, c.relkind::text, n.nspname, c.relname, pg_get_userbyid(c.relowner),
			pg_has_role(c.relowner, 'USAGE'), c.relpersistence = 'u', c.relispartition,
			EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid), EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid),
			c.relrowsecurity, c.relforcerowsecurity,
			coalesce(obj_description(c.oid, 'pg_class') = 'created by trackstore', false)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`, c.tracks.String())
	if err != nil {
		return nil, err
	}
	t, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (t table, err error) {
		err = row.Scan(&t.OID, &t.Kind, &t.Schema, &t.Name, &t.Owner, &t.Owned, &t.Unlogged, &t.Partition, &t.Parent, &t.Child,
			&t.Security, &t.Forced, &t.MadeByUs)
		return t, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err = c.work.Query(c.ctx, `
		SELECT a.attname, format_type(a.atttypid, a.atttypmod), format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),
			t.typtype::text, b.typcategory::text, a.attnotnull OR t.typnotnull,
			a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated <> '' OR a.attidentity = 'a',
			EXISTS (SELECT FROM pg_index WHERE indrelid = a.attrelid AND indisprimary AND a.attnum = ANY (indkey)),
			b.typname <> 'citext' AND coalesce((SELECT collisdeterministic FROM pg_collation WHERE oid = a.attcollation), true)
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
			JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
		WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, t.OID)
	if err != nil {
		return nil, err
	}
	t.columns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	return &t, err
}

// ownTables are trackstore's own.
var ownTables = []string{
	"trackstore_schema_migrations", "trackstore_adoption", "track_uploads", "track_discards", "track_migrations",
	"track_migration_direction", "track_migration_ranges", "track_former_paths", "track_places", "track_events", "companion_sessions",
	"track_sweep_positions",
}

// anotherTable looks where the platform's tracks might be instead.
func (c *checker) anotherTable() error {
	if c.table != nil && !c.table.MadeByUs {
		return c.namesakes()
	}
	others, err := c.lookAlikes()
	if err != nil || len(others) == 0 {
		return err
	}
	fix := "set TRACKS_TABLE=" + others[0]
	said := fmt.Sprintf("looks like a platform's table of tracks (there is also %s)", strings.Join(others[1:], ", "))
	if len(others) == 1 {
		said = "looks like a platform's table of tracks"
	}
	switch {
	case c.table == nil && c.create:
	case c.table == nil:
		c.refuse("another_table", others[0], said+", and there is no table "+c.tracks.String()+": an empty one would be made, and nothing moved",
			fix+"; or, if it is not, trackstore schema up --create")
	default:
		c.note("another_table", others[0], said+", and is not the one that trackstore works with: "+c.tracks.String()+" is a table of its own", fix)
	}
	return nil
}

// namesakes names the tables that another search path would find.
func (c *checker) namesakes() error {
	if c.tracks.Schema() != "" {
		return nil
	}
	rows, err := c.work.Query(c.ctx, `
		SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relname = $1 AND c.oid <> $2::oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 5`,
		c.table.Name, c.table.OID)
	if err != nil {
		return err
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if len(others) > 0 {
		found := ident(c.table.Schema) + "." + ident(c.table.Name)
		c.note("another_table", strings.Join(others, ", "), "has the same name: by the search path trackstore works with "+found, "set TRACKS_TABLE="+found+", or the one that is meant")
	}
	return err
}

// lookAlikes returns the tables that may hold a platform's tracks, those most like it first.
func (c *checker) lookAlikes() ([]string, error) {
	rows, err := c.work.Query(c.ctx, `
		SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
		LATERAL (
			SELECT count(*) FILTER (WHERE attname ~* '^(file|audio|media|storage)_?(path|name|key|file|url)$|^path$|^filename$') > 0 AS has_path,
				count(*) FILTER (WHERE attname ~* '^(title|name|caption)$') > 0 AS has_title
			FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
		) AS columns
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
			AND NOT (c.relname = ANY ($1) AND n.nspname = current_schema()) AND c.oid IS DISTINCT FROM to_regclass($2)
			AND (lower(c.relname) = 'tracks' OR c.relname ~* '(^|_)(tracks?|songs?|recordings?|audios?|audio_?files?)$'
				OR has_path AND has_title)
		ORDER BY lower(c.relname) <> 'tracks', NOT has_path, NOT has_title, 1 LIMIT 10`, ownTables, c.tracks.String())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (c *checker) kindOfTable() error {
	t, name := c.table, c.tracks.String()
	const instead = "keep the tracks in a plain table, and name it by TRACKS_TABLE"
	switch {
	case t.Kind == "v" || t.Kind == "m":
		var beneath []string
		rows, err := c.work.Query(c.ctx, `
			SELECT DISTINCT d.refobjid::regclass::text FROM pg_rewrite r
			JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
			WHERE r.ev_class = $1::oid AND d.refobjid <> r.ev_class`, t.OID)
		if err != nil {
			return err
		}
		if beneath, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		fix := instead
		if len(beneath) > 0 {
			fix = "set TRACKS_TABLE=" + beneath[0] + ", the table beneath it"
		}
		c.refuse("view", name, "is a view: it can be given neither columns nor indexes", fix)
	case t.Kind == "f":
		c.refuse("foreign_table", name, "is a foreign table: it can be given neither columns nor indexes", "run trackstore over the database that holds the table")
	case t.Kind == "p" || t.Partition:
		c.refuse("partitioned", name, "is partitioned: its indexes cannot be built beside writers, and no key makes id alone unique", instead)
	case t.Parent || t.Child:
		c.refuse("inherited", name, "is part of an inheritance: an update of the parent changes rows of the children past the trigger and the indexes",
			fmt.Sprintf("ALTER TABLE child NO INHERIT %s;", name))
	case t.Kind != "r":
		c.refuse("kind", name, "is no table", instead)
	}
	if t.Unlogged {
		c.note("unlogged", name, "is unlogged: a crash of the server empties it, and with it what says where bytes are",
			fmt.Sprintf("ALTER TABLE %s SET LOGGED;", name))
	}
	var rules []string
	rows, err := c.work.Query(c.ctx, "SELECT rulename FROM pg_rewrite WHERE ev_class = $1::oid AND ev_type <> '1'", t.OID)
	if err != nil {
		return err
	}
	if rules, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	for _, rule := range rules {
		c.problem("rule", rule, "is a rule: Postgres rewrites trackstore's statements by it, or refuses them",
			fmt.Sprintf("DROP RULE %s ON %s;", ident(rule), name))
	}
	return nil
}

// ownNames looks for relations of others by the names of trackstore's own.
func (c *checker) ownNames() error {
	if c.begun || c.version > 0 {
		return nil
	}
	rows, err := c.work.Query(c.ctx, `
		SELECT c.relname FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND regexp_replace(c.relname, '(_[a-z_]+_(idx|key)|_key|_pkey)$', '') = ANY ($1)
			OR c.relnamespace = $2::text::regnamespace AND c.relname ~ '^tracks_(storage_backend|trackstore)_[a-z0-9_]+_idx$'
				AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = c.oid AND indrelid = $3::oid)
		ORDER BY c.relname`, ownTables, ident(c.table.Schema), c.table.OID)
	if err != nil {
		return err
	}
	taken, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range slices.DeleteFunc(taken, func(name string) bool { return strings.HasPrefix(name, historyTable) }) {
		c.refuse("name_taken", name, "is there already, and trackstore has a table or an index of that name",
			"give trackstore a schema of its own: CREATE SCHEMA trackstore; then add search_path=trackstore,public to DATABASE_URL")
	}
	return err
}
