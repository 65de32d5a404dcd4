// Package config reads trackstore's environment variables. Each variable is declared
// once, in [Variables]; loading, validation, docs/ENV_VARIABLES.md, .env.template and the
// check of template.yaml all follow that declaration (package drift compares them).
//
// A program asks for the struct that holds what it uses, and nothing else is read:
//
//	cfg, err := config.Load[config.PresignUpload](os.Getenv)
package config

import (
	"io"
	"log/slog"
)

// Environment is where a program runs. Production is strict: faults that elsewhere
// become warnings stop a program there.
type Environment string

// The environments. Test is treated as development.
const (
	Development Environment = "development"
	Staging     Environment = "staging"
	Production  Environment = "production"
	Test        Environment = "test"
)

// Base is what every program has.
type Base struct {
	Env      Environment
	LogLevel slog.Level
	Warnings []Problem // what production would have refused
}

// Logger returns the program's logger, which writes a JSON object a line to w, and
// begins by logging the configuration's warnings to it.
func (b Base) Logger(w io.Writer) *slog.Logger {
	logger := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: b.LogLevel, ReplaceAttr: nameTime}))
	for _, p := range b.Warnings {
		logger.Warn("configuration", "problem", p)
	}
	return logger
}

// nameTime gives a line's time the name by which Lambda looks for it: where it finds none,
// every line's level is INFO to it.
func nameTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		a.Key = "timestamp"
	}
	return a
}

// Places is what a program works with: see package places, which opens it.
type Places struct {
	Database   Database
	Storage    Storage
	DiskServer DiskServer // the zero value: the program signs no URLs for the disk
}

// Opens returns p, of any program's configuration that has it.
func (p Places) Opens() Places { return p }

// PresignUpload configures the HTTP API.
type PresignUpload struct {
	Base
	Places
	Auth    Auth
	Uploads Uploads
	CDN     CDN
}

func (c *PresignUpload) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
	c.Storage = l.storage()
	c.DiskServer = l.diskServer(c.Storage)
	c.Auth = l.auth()
	c.Uploads = l.uploads()
	c.CDN = l.cdn()
}

// ObjectCreated configures the consumer of storage events.
type ObjectCreated struct {
	Base
	Places
	Events Events
}

func (c *ObjectCreated) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
	c.Storage = l.storage()
	c.Events = l.events()
}

// MigrateBatch configures the function that moves tracks. S3 is always on.
type MigrateBatch struct {
	Base
	Places
	Migration  Migration
	TellsMoves bool // each move leaves an event
}

func (c *MigrateBatch) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
	c.Storage = l.storage()
	c.Migration = l.migration()
	c.TellsMoves = get[bool](l, "EVENTS_MOVED")
	l.needS3(c.Storage.S3, "migrate-batch moves tracks to it and from it")
}

// SweepUploads configures the clean-up of what is overdue.
type SweepUploads struct {
	Base
	Places
	Retention Retention
	Events    Events
}

func (c *SweepUploads) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
	c.Storage = l.storage()
	c.Events = l.events()
	c.Retention = l.retention(l.migration())
}

// DeliverEvents configures what takes events out to their receivers.
type DeliverEvents struct {
	Base
	Places // the database alone
	Events Events
}

func (c *DeliverEvents) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
	c.Events = l.events()
}

// MigrateSchema configures the function that brings the database schema up.
type MigrateSchema struct {
	Base
	Database Database
}

func (c *MigrateSchema) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
}

// Command configures the operator's commands on tracks (trackstore migrate-storage):
// database and storage, no tokens. S3 may be off; see [Storage.RequireS3].
type Command struct {
	Base
	Places
	Migration  Migration
	Retention  Retention
	TellsMoves bool // each move leaves an event
}

func (c *Command) load(l *loader) {
	c.Base = l.base()
	c.Database = l.database()
	c.Storage = l.storage()
	c.Migration = l.migration()
	c.Retention = l.retention(c.Migration)
	c.TellsMoves = get[bool](l, "EVENTS_MOVED")
}

// base reads what every program has (rules 1 and 10), and with it how strict the rest is:
// lenient only where the environment is known to be.
func (l *loader) base() Base {
	b := Base{
		Env:      Environment(get[string](l, "APP_ENV")),
		LogLevel: get[slog.Level](l, "LOG_LEVEL"),
	}
	switch b.Env {
	case Development, Staging, Test:
	case Production:
		l.strict = true
	default:
		l.strict = true
		l.fail("APP_ENV", "is none of development, staging, production and test", "the usual one on a laptop is development")
	}
	return b
}
