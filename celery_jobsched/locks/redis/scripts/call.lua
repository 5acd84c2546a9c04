-- ARGV: the verb, what it is about, and the terms.

return verbs[ARGV[1]](cjson.decode(ARGV[2]))
