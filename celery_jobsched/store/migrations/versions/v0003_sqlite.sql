CREATE TABLE jobsched_calendars (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name VARCHAR(64) NOT NULL,
    definition TEXT NOT NULL,
    description TEXT,
    source VARCHAR(255) DEFAULT 'sql' NOT NULL,
    created_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL,
    updated_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL,
    planned TEXT,
    error TEXT,
    UNIQUE (name)
)
