-- The time, and the memory.
--
-- All files of this folder are one script: memory, slots, reports, admissions, call. KEYS are the
-- memory, the reports, and whatever slots and records a call is about; it names them by their
-- number. Times are whole milliseconds: 13 digits, which Lua writes without an exponent.

local verbs = {}
local MEMORY, REPORTS = KEYS[1], KEYS[2]
local RENEWAL_PERIOD, MAX_QUEUE_TIME = tonumber(ARGV[3]), tonumber(ARGV[4])
local MOST_REPORTS = tonumber(ARGV[5])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A server that was started again has what its last snapshot had, or nothing: either way it does
-- not know who took a slot since. Where INFO is forbidden, only an empty one is noticed.
local function this_run()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
end

-- Since when the memory is whole, and from when on it grants.
local function memory()
  local run = this_run()
  local known = redis.call('HMGET', MEMORY, 'run', 'born', 'grants')
  if known[1] == run then
    return tonumber(known[2]), tonumber(known[3])
  end
  redis.call('HSET', MEMORY, 'run', run, 'born', now, 'grants', now + RENEWAL_PERIOD)
  return now, now + RENEWAL_PERIOD
end

local function is_silent()
  local _, grants = memory()
  return grants > now
end

-- Whoever runs has told it well before the last quarter of the silence; then queues are heard.
local function hears_of_runs_alone()
  local _, grants = memory()
  return grants > now + RENEWAL_PERIOD / 4
end

function verbs.open(asked)
  local born, grants = memory()
  if asked.first and grants > now then
    grants = now
    redis.call('HSET', MEMORY, 'grants', now)
  end
  local dropped = redis.call('HGET', MEMORY, 'dropped') or 0
  return {born, math.max(0, grants - now), redis.call('XLEN', REPORTS), tonumber(dropped)}
end

-- What `answer` says of each thing, as the caller gets it: 1 for yes, 0 for no.
local function each(things, answer)
  local said = {}
  for i, thing in ipairs(things) do
    said[i] = answer(thing) and 1 or 0
  end
  return said
end
