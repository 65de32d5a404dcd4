package schema

import (
	"fmt"
	"slices"
	"strings"
)

// need is a column that trackstore works with.
type need struct {
	name   string
	kind   string // uuid, text, size, number, time
	add    string // its type where trackstore adds it; empty: the platform must have it
	others []string
}

// needs are the columns of the platform's table that trackstore works with; others are names
// by which a platform may call it.
var needs = []need{
	{"id", "uuid", "", []string{"uuid", "track_id", "guid"}},
	{"creator_id", "uuid", "", []string{"user_id", "owner_id", "artist_id", "uploader_id", "author_id", "account_id", "created_by", "creatorId", "userId", "ownerId"}},
	{"title", "text", "", []string{"name", "caption", "track_title"}},
	{"file_path", "text", "", []string{"path", "filepath", "file", "audio_file", "audio_path", "filename", "file_name", "filePath", "audioPath", "storage_path"}},
	{"file_size", "size", "bigint", nil},
	{"format", "text", "varchar(16)", nil},
	{"content_type", "text", "varchar(100)", nil},
	{"status", "text", "varchar(16)", nil},
	{"created_at", "time", "timestamptz", nil},
	{"updated_at", "time", "timestamptz", nil},
	{"deleted_at", "time", "timestamptz", nil},
	{"storage_backend", "text", "varchar(16)", nil},
	{"storage_key", "text", "varchar(512)", nil},
	{"storage_version_id", "text", "text", nil},
	{"storage_bucket", "text", "varchar(63)", nil},
	{"file_version", "number", "bigint", nil},
	{"upload_seq", "number", "bigint", nil},
}

// fits reports whether a column can hold what trackstore keeps in it.
func (n need) fits(col column) bool {
	switch n.kind {
	case "uuid":
		return col.Base == "uuid"
	case "text":
		return col.Category == "S" || col.Class == "e"
	case "size":
		return col.Base == "bigint" || col.Base == "numeric"
	case "number":
		return col.Base == "bigint"
	}
	return col.Base == "timestamp with time zone" || col.Base == "timestamp without time zone"
}

func (c *checker) neededColumns() error {
	if !slices.Contains([]string{"r", "p"}, c.table.Kind) {
		return nil
	}
	for _, n := range needs {
		switch col := c.table.column(n.name); {
		case col != nil && !n.fits(*col):
			if err := c.wrongType(n, *col); err != nil {
				return err
			}
		case col != nil && !col.Exact && slices.Contains([]string{"file_path", "storage_key"}, n.name):
			c.refuse("case", "column "+n.name, "is "+col.Type+", and takes texts that differ, as in case, for the same: they are different files",
				fmt.Sprintf(`ALTER TABLE %s ALTER COLUMN %s TYPE text COLLATE "default";`, c.tracks, n.name))
		case col == nil && n.add == "":
			c.missing(n)
		}
	}
	if err := c.ownStorageColumns(); err != nil {
		return err
	}
	return c.uniqueID()
}

func (c *checker) missing(n need) {
	fix := fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s; -- filled for every row", c.tracks, n.name, map[string]string{"uuid": "uuid", "text": "text"}[n.kind])
	for _, other := range n.others {
		col := c.table.column(other)
		switch {
		case col == nil:
		case n.fits(*col):
			c.renamed = append(c.renamed, other)
			fix = fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s; -- if that is what it holds: the platform's own statements follow", c.tracks, ident(other), n.name)
		case n.kind == "uuid" && n.name != "id":
			fix = c.fromOther(n.name, other)
		default:
			fix = fmt.Sprintf("%s\n-- its column %s is %s", fix, other, col.Type)
		}
		if col != nil {
			break
		}
	}
	c.refuse("missing_column", "column "+n.name, "is missing: trackstore cannot work without it", fix)
}

func (c *checker) wrongType(n need, col column) error {
	object := "column " + n.name
	change := func(to, using string) string {
		return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT, ALTER COLUMN %s TYPE %s USING %s;", c.tracks, n.name, n.name, to, using)
	}
	isNumber := col.Category == "N"
	switch {
	case n.kind == "uuid":
		return c.wrongID(n.name, col)
	case n.kind == "time" && isNumber:
		c.refuse("type", object, "is "+col.Type+" and must be timestamptz: a number is no time to the sweep, nor NULL where there is none",
			fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL;\n", c.tracks, n.name)+change("timestamptz", fmt.Sprintf("CASE WHEN %s > 100000000000 THEN to_timestamp(%s / 1000.0) WHEN %s > 0 THEN to_timestamp(%s) END", n.name, n.name, n.name, n.name)))
	case n.kind == "time":
		c.refuse("type", object, "is "+col.Type+" and must be timestamptz", change("timestamptz", "nullif("+n.name+"::text, '')::timestamptz"))
	case n.kind == "size" && isNumber:
		c.problem("length", object, "is "+col.Type+", which ends at 2 GiB", change("bigint", n.name))
	case n.kind == "size" || n.kind == "number":
		c.refuse("type", object, "is "+col.Type+" and must be bigint", change("bigint", "nullif("+n.name+"::text, '')::bigint"))
	default:
		c.refuse("type", object, "is "+col.Type+" and must hold text", fmt.Sprintf(
			"ALTER TABLE %s RENAME COLUMN %s TO %s_of_platform; -- or change its type to varchar", c.tracks, n.name, n.name))
	}
	return nil
}

// ownStorageColumns looks at storage columns that the platform had before trackstore came.
func (c *checker) ownStorageColumns() error {
	if c.begun || c.isUp() {
		return nil
	}
	backend := c.table.column("storage_backend")
	if backend != nil && (!backend.NotNull || !backend.Default) {
		c.refuse("storage_backend", "column storage_backend", "is the platform's own, and a row may be without it",
			fmt.Sprintf("UPDATE %s SET storage_backend = 'local' WHERE storage_backend IS NULL;\n"+
				"ALTER TABLE %s ALTER COLUMN storage_backend SET DEFAULT 'local', ALTER COLUMN storage_backend SET NOT NULL;", c.tracks, c.tracks))
	}
	for _, name := range []string{"file_version", "upload_seq"} {
		if col := c.table.column(name); col != nil && (!col.NotNull || !col.Default) {
			c.refuse("storage_column", "column "+name, "is the platform's own, and trackstore keeps a number of its own there",
				fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s_of_platform;", c.tracks, name, name))
		}
	}
	if c.table.column("storage_bucket") != nil {
		c.refuse("storage_column", "column storage_bucket", "is the platform's own, and trackstore keeps the bucket of each track there",
			fmt.Sprintf("ALTER TABLE %s RENAME COLUMN storage_bucket TO storage_bucket_of_platform;", c.tracks))
	}
	others, err := c.count("storage_backend", "storage_backend::text NOT IN ('local', 's3')")
	if err == nil && others > 0 {
		c.refuse("storage_backend", "column storage_backend", fmt.Sprintf("is neither local nor s3 in %d rows", others),
			fmt.Sprintf("UPDATE %s SET storage_backend = 'local' WHERE storage_backend NOT IN ('local', 's3');", c.tracks))
	}
	if err != nil || backend == nil {
		return err
	}
	nameless := "storage_backend::text = 's3'"
	if c.table.column("storage_key") != nil {
		nameless += " AND coalesce(storage_key::text, '') = ''"
	}
	n, err := c.count("storage_backend", nameless)
	if err == nil && n > 0 {
		c.refuse("storage_key", "column storage_key", fmt.Sprintf("is empty in %d rows that are on S3", n),
			fmt.Sprintf("UPDATE %s SET storage_backend = 'local' WHERE %s; -- where their files are on disk", c.tracks, nameless))
	}
	return err
}

// uniqueID looks for the key that makes an id mean one row.
func (c *checker) uniqueID() error {
	if c.table.column("id") == nil {
		return nil
	}
	var unique bool
	err := c.work.QueryRow(c.ctx, `
		SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attname = 'id'
			WHERE indrelid = $1::oid AND indisunique AND indisvalid AND indpred IS NULL AND indnkeyatts = 1 AND indkey[0] = attnum)`,
		c.table.OID).Scan(&unique)
	if err == nil && !unique {
		c.refuse("id_not_unique", "column id", "is not unique: two rows of one id would be one track",
			fmt.Sprintf("CREATE UNIQUE INDEX CONCURRENTLY ON %s (id);", c.tracks))
	}
	return err
}

// columnsInTheWay looks for columns that an insert, as presign-upload makes it, cannot fill,
// and for some that cannot be written.
func (c *checker) columnsInTheWay() error {
	for _, col := range c.table.columns {
		if slices.Contains(c.renamed, col.Name) {
			continue
		}
		at := slices.IndexFunc(needs, func(n need) bool { return n.name == col.Name })
		object := "column " + col.Name
		switch {
		case at >= 0 && col.Generated:
			c.problem("generated", object, "is generated, and trackstore writes it",
				fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP EXPRESSION; -- of an identity: SET GENERATED BY DEFAULT", c.tracks, ident(col.Name)))
		case col.NotNull && !col.Default && !col.Generated && !slices.Contains(inserted, col.Name):
			c.problem("not_null", object, "is NOT NULL without a default: a new track cannot be inserted (409 platform_refused)", c.filled(col))
		case at >= 0 && needs[at].add == "" && !col.NotNull:
		case slices.Contains([]string{"file_size", "format", "content_type", "deleted_at", "storage_key", "storage_version_id", "storage_bucket"}, col.Name) && col.NotNull && !col.Default:
			c.problem("not_null", object, "is NOT NULL, and is without a value until a file has come",
				fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL;", c.tracks, ident(col.Name)))
		}
	}
	if col := c.table.column("deleted_at"); col != nil && col.NotNull {
		c.problem("not_null", "column deleted_at", "is NOT NULL: every track counts as deleted",
			fmt.Sprintf("ALTER TABLE %s ALTER COLUMN deleted_at DROP NOT NULL;\nUPDATE %s SET deleted_at = NULL WHERE …;", c.tracks, c.tracks))
	}
	for _, name := range []string{"created_at", "updated_at", "deleted_at"} {
		if col := c.table.column(name); col != nil && strings.HasSuffix(col.Base, "without time zone") {
			c.note("time_zone", "column "+name, "has no time zone: it is read in that of the session, so all that write it should have the same one",
				"ALTER ROLE … SET timezone = 'UTC'; for trackstore's role and the platform's")
		}
	}
	return nil
}

// filled is the SQL by which an insert need not fill a column.
func (c *checker) filled(col column) string {
	if col.Key && col.Category == "N" {
		return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s ADD GENERATED BY DEFAULT AS IDENTITY;\nSELECT setval(pg_get_serial_sequence(%s, %s), max(%s)) FROM %s;",
			c.tracks, ident(col.Name), literal(c.tracks.String()), literal(col.Name), ident(col.Name), c.tracks)
	}
	if col.Key {
		return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s;", c.tracks, ident(col.Name), newKey(col))
	}
	return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL;\n-- or SET DEFAULT; or nothing, where the platform's backend inserts its own row, with file_path '' or NULL, "+
		"and opens the upload with its track_id", c.tracks, ident(col.Name))
}

// inserted are the columns that presign-upload gives a new track.
var inserted = []string{"id", "creator_id", "title", "file_path", "status"}
