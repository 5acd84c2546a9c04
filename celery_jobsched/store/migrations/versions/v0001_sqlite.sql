CREATE TABLE jobsched_beats (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE jobsched_changes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL,
    job_name VARCHAR(255) NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by VARCHAR(255),
    door VARCHAR(16) NOT NULL,
    was TEXT,
    became TEXT,
    note TEXT
);

CREATE INDEX jobsched_changes_job ON jobsched_changes (job_id, changed_at);

CREATE TABLE jobsched_fires (
    id VARCHAR(36) NOT NULL,
    job_id INTEGER NOT NULL,
    job_name VARCHAR(255) NOT NULL,
    "key" VARCHAR(64) NOT NULL,
    fire_at TEXT NOT NULL,
    until_at TEXT,
    count INTEGER,
    due_at TEXT,
    origin VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason TEXT,
    ready_at TEXT,
    args JSON,
    kwargs JSON,
    publishes INTEGER DEFAULT '0' NOT NULL,
    token VARCHAR(36),
    lease_until TEXT,
    beat VARCHAR(36),
    sent_at TEXT,
    started_at TEXT,
    finished_at TEXT,
    worker VARCHAR(255),
    result TEXT,
    error TEXT,
    PRIMARY KEY (id),
    CONSTRAINT jobsched_fires_once UNIQUE (job_id, "key")
);

CREATE INDEX jobsched_fires_job ON jobsched_fires (job_id, fire_at);

CREATE INDEX jobsched_fires_ready_at ON jobsched_fires (ready_at);

CREATE TABLE jobsched_jobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name VARCHAR(255) NOT NULL,
    task VARCHAR(255) NOT NULL,
    args JSON,
    kwargs JSON,
    options JSON,
    description TEXT,
    every VARCHAR(255),
    at VARCHAR(255),
    cron VARCHAR(255),
    once TEXT,
    rrule TEXT,
    celery VARCHAR(255),
    keyword VARCHAR(255),
    custom VARCHAR(255),
    timezone VARCHAR(64),
    starts_at TEXT,
    ends_at TEXT,
    max_fires INTEGER,
    only_during TEXT,
    not_during TEXT,
    on_excluded VARCHAR(16),
    jitter DOUBLE,
    max_concurrency INTEGER,
    concurrency_key VARCHAR(255),
    overlap VARCHAR(16),
    misfire VARCHAR(16),
    misfire_grace_time DOUBLE,
    lease DOUBLE,
    max_failures INTEGER,
    month_end VARCHAR(16),
    dst_gap VARCHAR(16),
    dst_fold VARCHAR(16),
    on_end VARCHAR(16),
    labels JSON,
    on_success VARCHAR(255),
    on_failure VARCHAR(255),
    enabled BOOLEAN DEFAULT 1 NOT NULL,
    paused_at TEXT,
    paused_by VARCHAR(255),
    paused_note TEXT,
    paused_until TEXT,
    source VARCHAR(255) DEFAULT 'sql' NOT NULL,
    version INTEGER DEFAULT '0' NOT NULL,
    created_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL,
    updated_at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000') NOT NULL,
    anchor_at TEXT,
    next_fire_at TEXT,
    due_at TEXT,
    last_fire_at TEXT,
    fire_count INTEGER DEFAULT '0' NOT NULL,
    failure_count INTEGER DEFAULT '0' NOT NULL,
    planned TEXT,
    error TEXT,
    wake_at TEXT GENERATED ALWAYS AS (CASE WHEN planned IS NULL OR planned <> ((COALESCE('every=' || every || char(10), '') || COALESCE('at=' || at || char(10), '') || COALESCE('cron=' || cron || char(10), '') || COALESCE('celery=' || celery || char(10), '') || COALESCE('keyword=' || keyword || char(10), '') || COALESCE('custom=' || custom || char(10), '') || COALESCE('timezone=' || timezone || char(10), '') || COALESCE('starts_at=' || starts_at || char(10), '') || COALESCE('ends_at=' || ends_at || char(10), '') || COALESCE('only_during=' || only_during || char(10), '') || COALESCE('not_during=' || not_during || char(10), '') || COALESCE('on_excluded=' || on_excluded || char(10), '') || COALESCE('jitter=' || jitter || char(10), '') || COALESCE('month_end=' || month_end || char(10), '') || COALESCE('dst_gap=' || dst_gap || char(10), '') || COALESCE('dst_fold=' || dst_fold || char(10), '') || COALESCE('once=' || once || char(10), '') || COALESCE('rrule=' || rrule || char(10), '') || COALESCE('enabled=' || enabled || char(10), '') || COALESCE('max_fires=' || max_fires || char(10), '') || COALESCE('max_concurrency=' || max_concurrency || char(10), '') || COALESCE('concurrency_key=' || concurrency_key || char(10), '') || COALESCE('overlap=' || overlap || char(10), '') || COALESCE('misfire=' || misfire || char(10), '') || COALESCE('misfire_grace_time=' || misfire_grace_time || char(10), '') || COALESCE('lease=' || lease || char(10), '') || COALESCE('max_failures=' || max_failures || char(10), '') || COALESCE('on_end=' || on_end || char(10), '') || COALESCE('on_success=' || on_success || char(10), '') || COALESCE('on_failure=' || on_failure || char(10), '') || COALESCE('paused_until=' || paused_until || char(10), '')) || CASE WHEN error IS NULL THEN '' ELSE (COALESCE('name=' || name || char(10), '') || COALESCE('task=' || task || char(10), '') || COALESCE('args=' || args || char(10), '') || COALESCE('kwargs=' || kwargs || char(10), '') || COALESCE('options=' || options || char(10), '') || COALESCE('labels=' || labels || char(10), '') || COALESCE('created_at=' || created_at || char(10), '') || COALESCE('last_fire_at=' || last_fire_at || char(10), '') || COALESCE('fire_count=' || fire_count || char(10), '')) END) THEN '1970-01-01 00:00:00.000000' WHEN error IS NOT NULL THEN NULL WHEN NOT enabled THEN CASE WHEN strftime('%Y-%m-%d %H:%M:%f', paused_until) || '000' > '1970-01-01 00:00:00.000000' THEN strftime('%Y-%m-%d %H:%M:%f', paused_until) || '000' END ELSE due_at END) STORED,
    CONSTRAINT jobsched_jobs_enabled CHECK (enabled IN (0, 1)),
    UNIQUE (name)
);

CREATE INDEX jobsched_jobs_source ON jobsched_jobs (source);

CREATE INDEX jobsched_jobs_wake_at ON jobsched_jobs (wake_at);

CREATE TABLE jobsched_meta (
    "key" VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
);
