CREATE TABLE jobsched_beats (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    started_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE jobsched_changes (
    id BIGSERIAL NOT NULL,
    job_id BIGINT NOT NULL,
    job_name VARCHAR(255) NOT NULL,
    changed_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    changed_by VARCHAR(255),
    door VARCHAR(16) NOT NULL,
    was TEXT,
    became TEXT,
    note TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX jobsched_changes_job ON jobsched_changes (job_id, changed_at);

CREATE TABLE jobsched_fires (
    id VARCHAR(36) NOT NULL,
    job_id BIGINT NOT NULL,
    job_name VARCHAR(255) NOT NULL,
    key VARCHAR(64) NOT NULL,
    fire_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    until_at TIMESTAMP WITHOUT TIME ZONE,
    count BIGINT,
    due_at TIMESTAMP WITHOUT TIME ZONE,
    origin VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason TEXT,
    ready_at TIMESTAMP WITHOUT TIME ZONE,
    args JSON,
    kwargs JSON,
    publishes INTEGER DEFAULT '0' NOT NULL,
    token VARCHAR(36),
    lease_until TIMESTAMP WITHOUT TIME ZONE,
    beat VARCHAR(36),
    sent_at TIMESTAMP WITHOUT TIME ZONE,
    started_at TIMESTAMP WITHOUT TIME ZONE,
    finished_at TIMESTAMP WITHOUT TIME ZONE,
    worker VARCHAR(255),
    result TEXT,
    error TEXT,
    PRIMARY KEY (id),
    CONSTRAINT jobsched_fires_once UNIQUE (job_id, key)
);

CREATE INDEX jobsched_fires_job ON jobsched_fires (job_id, fire_at);

CREATE INDEX jobsched_fires_ready_at ON jobsched_fires (ready_at);

CREATE TABLE jobsched_jobs (
    id BIGSERIAL NOT NULL,
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
    starts_at TIMESTAMP WITHOUT TIME ZONE,
    ends_at TIMESTAMP WITHOUT TIME ZONE,
    max_fires INTEGER,
    only_during TEXT,
    not_during TEXT,
    on_excluded VARCHAR(16),
    jitter DOUBLE PRECISION,
    max_concurrency INTEGER,
    concurrency_key VARCHAR(255),
    overlap VARCHAR(16),
    misfire VARCHAR(16),
    misfire_grace_time DOUBLE PRECISION,
    lease DOUBLE PRECISION,
    max_failures INTEGER,
    month_end VARCHAR(16),
    dst_gap VARCHAR(16),
    dst_fold VARCHAR(16),
    on_end VARCHAR(16),
    labels JSON,
    on_success VARCHAR(255),
    on_failure VARCHAR(255),
    enabled BOOLEAN DEFAULT true NOT NULL,
    paused_at TIMESTAMP WITHOUT TIME ZONE,
    paused_by VARCHAR(255),
    paused_note TEXT,
    paused_until TIMESTAMP WITHOUT TIME ZONE,
    source VARCHAR(255) DEFAULT 'sql' NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITHOUT TIME ZONE DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
    updated_at TIMESTAMP WITHOUT TIME ZONE DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
    anchor_at TIMESTAMP WITHOUT TIME ZONE,
    next_fire_at TIMESTAMP WITHOUT TIME ZONE,
    due_at TIMESTAMP WITHOUT TIME ZONE,
    last_fire_at TIMESTAMP WITHOUT TIME ZONE,
    fire_count BIGINT DEFAULT '0' NOT NULL,
    failure_count BIGINT DEFAULT '0' NOT NULL,
    planned TEXT,
    error TEXT,
    wake_at TIMESTAMP WITHOUT TIME ZONE GENERATED ALWAYS AS (CASE WHEN planned IS NULL OR planned <> ((COALESCE('every=' || every || E'\n', '') || COALESCE('at=' || at || E'\n', '') || COALESCE('cron=' || cron || E'\n', '') || COALESCE('celery=' || celery || E'\n', '') || COALESCE('keyword=' || keyword || E'\n', '') || COALESCE('custom=' || custom || E'\n', '') || COALESCE('timezone=' || timezone || E'\n', '') || COALESCE('starts_at=' || extract(epoch from starts_at)::text || E'\n', '') || COALESCE('ends_at=' || extract(epoch from ends_at)::text || E'\n', '') || COALESCE('only_during=' || only_during || E'\n', '') || COALESCE('not_during=' || not_during || E'\n', '') || COALESCE('on_excluded=' || on_excluded || E'\n', '') || COALESCE('jitter=' || jitter::text || E'\n', '') || COALESCE('month_end=' || month_end || E'\n', '') || COALESCE('dst_gap=' || dst_gap || E'\n', '') || COALESCE('dst_fold=' || dst_fold || E'\n', '') || COALESCE('once=' || once || E'\n', '') || COALESCE('rrule=' || rrule || E'\n', '') || COALESCE('enabled=' || enabled::text || E'\n', '') || COALESCE('max_fires=' || max_fires::text || E'\n', '') || COALESCE('max_concurrency=' || max_concurrency::text || E'\n', '') || COALESCE('concurrency_key=' || concurrency_key || E'\n', '') || COALESCE('overlap=' || overlap || E'\n', '') || COALESCE('misfire=' || misfire || E'\n', '') || COALESCE('misfire_grace_time=' || misfire_grace_time::text || E'\n', '') || COALESCE('lease=' || lease::text || E'\n', '') || COALESCE('max_failures=' || max_failures::text || E'\n', '') || COALESCE('on_end=' || on_end || E'\n', '') || COALESCE('on_success=' || on_success || E'\n', '') || COALESCE('on_failure=' || on_failure || E'\n', '') || COALESCE('paused_until=' || extract(epoch from paused_until)::text || E'\n', '')) || CASE WHEN error IS NULL THEN '' ELSE (COALESCE('name=' || name || E'\n', '') || COALESCE('task=' || task || E'\n', '') || COALESCE('args=' || args::text || E'\n', '') || COALESCE('kwargs=' || kwargs::text || E'\n', '') || COALESCE('options=' || options::text || E'\n', '') || COALESCE('labels=' || labels::text || E'\n', '') || COALESCE('created_at=' || extract(epoch from created_at)::text || E'\n', '') || COALESCE('last_fire_at=' || extract(epoch from last_fire_at)::text || E'\n', '') || COALESCE('fire_count=' || fire_count::text || E'\n', '')) END) THEN TIMESTAMP '1970-01-01 00:00:00' WHEN error IS NOT NULL THEN NULL WHEN NOT enabled THEN CASE WHEN paused_until > TIMESTAMP '1970-01-01 00:00:00' THEN paused_until END ELSE due_at END) STORED,
    PRIMARY KEY (id),
    CONSTRAINT jobsched_jobs_starts_at_finite CHECK (starts_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    CONSTRAINT jobsched_jobs_ends_at_finite CHECK (ends_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    CONSTRAINT jobsched_jobs_paused_until_finite CHECK (paused_until BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    CONSTRAINT jobsched_jobs_created_at_finite CHECK (created_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    CONSTRAINT jobsched_jobs_next_fire_at_finite CHECK (next_fire_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    CONSTRAINT jobsched_jobs_due_at_finite CHECK (due_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    CONSTRAINT jobsched_jobs_last_fire_at_finite CHECK (last_fire_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'),
    UNIQUE (name)
);

CREATE INDEX jobsched_jobs_source ON jobsched_jobs (source);

CREATE INDEX jobsched_jobs_wake_at ON jobsched_jobs (wake_at);

CREATE TABLE jobsched_meta (
    key VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key)
);
