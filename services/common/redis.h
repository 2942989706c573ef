// Redis: a small blocking client with deadlines. Redis never holds money, budgets, dedupe or locks that guard effects;
// every caller must have an answer for UNAVAILABLE / REDIS_UNAVAILABLE. Reconnects by itself, at most once a second.
// Thread-safe; one command at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod {

struct RedisConfig {
  std::string url;  // "unix:/path/redis.sock" or "host:port"
  std::chrono::milliseconds timeout{50};
};

class Redis {
 public:
  explicit Redis(RedisConfig config);
  ~Redis();
  Status Ping();
  // EVALSHA with a fall-back to EVAL; the script must return an array of integers.
  Result<std::vector<std::int64_t>> Eval(const std::string& script, const std::vector<std::string>& keys,
                                         const std::vector<std::string>& args);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod
