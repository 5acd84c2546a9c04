-- Reports: a stream, in the order in which they came. One reader at a time has some in hand.

local function add_report(text)
  if text then
    redis.call('XADD', REPORTS, '*', 'report', text)
  end
end

local function drop_reports()
  local dropped = redis.call('XTRIM', REPORTS, 'MAXLEN', MOST_REPORTS)
  if dropped > 0 then
    redis.call('HINCRBY', MEMORY, 'dropped', dropped)
  end
end

function verbs.report(texts)
  for _, text in ipairs(texts) do
    add_report(text)
  end
  drop_reports()
  return #texts
end

function verbs.reports(asked)
  local hand = redis.call('HMGET', MEMORY, 'reader', 'reading_until')
  if hand[1] and hand[1] ~= asked.reader and tonumber(hand[2]) > now then
    return {}
  end
  local found = redis.call('XRANGE', REPORTS, '-', '+', 'COUNT', asked.limit)
  if #found > 0 then
    redis.call(
      'HSET', MEMORY, 'reader', asked.reader, 'reading_until', now + asked.reading_time)
  end
  return found
end

function verbs.acknowledge(asked)
  for start = 1, #asked.ids, 1000 do
    redis.call('XDEL', REPORTS, unpack(asked.ids, start, math.min(start + 999, #asked.ids)))
  end
  if redis.call('HGET', MEMORY, 'reader') == asked.reader then
    redis.call('HDEL', MEMORY, 'reader')
  end
  return #asked.ids
end
