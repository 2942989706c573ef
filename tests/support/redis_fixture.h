// A private Redis on a Unix socket, without persistence, that a test may stop and start.
#pragma once

#include <optional>
#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allod {

class TestRedis {
 public:
  TestRedis();    // started; throws std::runtime_error
  void Start();   // returns once it answers
  void Kill();    // SIGKILL
  void Freeze();  // accepts, but answers nothing until Thaw()
  void Thaw();
  std::string url() const { return "unix:" + (dir_ / "redis.sock").string(); }

 private:
  TempDir dir_;
  std::optional<Process> process_;
};

}  // namespace allod
