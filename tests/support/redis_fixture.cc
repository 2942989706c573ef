#include "tests/support/redis_fixture.h"

#include <chrono>
#include <stdexcept>
#include <thread>

#include "services/common/redis.h"

namespace allod {
namespace {

constexpr auto kRedisStartMax = std::chrono::seconds(20);

}  // namespace

TestRedis::TestRedis() { Start(); }

void TestRedis::Start() {
  ProcessOptions options;
  options.output = dir_ / "log";
  process_.emplace(
      std::vector<std::string>{"redis-server", "--port", "0", "--unixsocket", dir_ / "redis.sock", "--save", "",
                               "--appendonly", "no", "--dir", dir_.path(), "--daemonize", "no"},
      options);
  const auto deadline = std::chrono::steady_clock::now() + kRedisStartMax;
  while (!Redis({url(), std::chrono::milliseconds(500)}).Ping()) {
    if (!process_->Running() || std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("Redis did not start: " + process_->Output());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void TestRedis::Kill() { process_.reset(); }
void TestRedis::Freeze() { process_->Signal(SIGSTOP); }
void TestRedis::Thaw() { process_->Signal(SIGCONT); }

}  // namespace allod
