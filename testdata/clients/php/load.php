<?php
// Writes and reads through phpredis until its time is up; any error that it
// does not cover itself ends the program.
// usage: php load.php plain|cluster SECONDS PORT...

function check($got, $want) {
    if ($got !== $want) {
        fwrite(STDERR, var_export($got, true) . ', want ' . var_export($want, true) . "\n");
        exit(1);
    }
}

// again calls what may be done twice until the connection holds: phpredis does
// not send again what was on its way over one that breaks.
function again(callable $call) {
    $until = microtime(true) + 3;
    while (true) {
        try {
            return $call();
        } catch (RedisClusterException | RedisException $error) {
            if (microtime(true) > $until || !preg_match('/response|communicate|connect|went away|read error|timed out/i', $error->getMessage())) {
                throw $error;
            }
            usleep(50000);
        }
    }
}

function connect(string $mode, array $ports) {
    if ($mode === 'cluster') {
        $seeds = array_map(fn ($port) => "127.0.0.1:$port", $ports);
        $r = new RedisCluster(null, $seeds, 2, 2);
        $r->setOption(RedisCluster::OPT_SLAVE_FAILOVER, RedisCluster::FAILOVER_ERROR);
        return $r;
    }
    $r = new Redis();
    $r->connect('127.0.0.1', $ports[0], 2);
    return $r;
}

[, $mode, $seconds] = $argv;
$ports = array_map('intval', array_slice($argv, 3));
$r = connect($mode, $ports);
$p = "phpredis:$mode";
$n = 0;
$slowest = 0;
$until = microtime(true) + (float) $seconds;
while (microtime(true) < $until) {
    $began = microtime(true);
    $k = "$p:" . $n % 500;
    check(again(fn () => $r->set($k, (string) $n)), true);
    check(again(fn () => $r->get($k)), (string) $n);
    if ($n % 10 === 0) {
        check(again(fn () => $r->mset(["{{$k}}a" => "$n", "{{$k}}b" => 'x'])), true);
        check(again(fn () => $r->mget(["{{$k}}a", "{{$k}}b"])), ["$n", 'x']);
    }
    $slowest = max($slowest, microtime(true) - $began);
    $n++;
}
printf("%d rounds, the slowest %.0f ms\n", $n, $slowest * 1000);
