# Writes and reads through ruby-redis until its time is up; any error that its
# own retries do not cover ends it.
# usage: ruby load.rb plain|cluster SECONDS PORT...
require "redis"

mode, seconds, *ports = ARGV

def check(got, want)
  abort "#{got.inspect}, want #{want.inspect}" unless got == want
end

# Calls what may be done twice until the connection holds: as a cluster client
# ruby-redis does not send again what was on its way over one that breaks.
def again
  finish = Time.now + 3
  begin
    yield
  rescue Redis::BaseConnectionError
    raise if Time.now > finish
    sleep 0.05
    retry
  end
end

r =
  if mode == "cluster"
    Redis.new(cluster: ports.map { |port| "redis://127.0.0.1:#{port}" }, reconnect_attempts: 5, timeout: 2)
  else
    Redis.new(port: ports[0].to_i, reconnect_attempts: 3, timeout: 2)
  end
p = "ruby-redis:#{mode}"
n = 0
slowest = 0
finish = Time.now + seconds.to_f
while Time.now < finish
  began = Time.now
  k = "#{p}:#{n % 500}"
  check(again { r.set(k, n) }, "OK")
  check(again { r.get(k) }, n.to_s)
  if (n % 10).zero?
    check(again { r.mset("{#{k}}a", n, "{#{k}}b", "x") }, "OK")
    check(again { r.mget("{#{k}}a", "{#{k}}b") }, [n.to_s, "x"])
  end
  slowest = [slowest, Time.now - began].max
  n += 1
end
puts "#{n} rounds, the slowest #{(slowest * 1000).round} ms"
