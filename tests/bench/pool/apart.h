// Runs a list of benchmarks in a process apart, so that one that crashes or hangs fails aloud and the others still run.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace allod::bench {

// What the process apart tells, of one benchmark after the other.
class Progress {
 public:
  explicit Progress(int fd) : fd_(fd) {}
  void Begins(const std::string& name) const;
  // `failure` is empty when there is none; else it is printed as the benchmark's JSON line.
  void Ended(const std::string& failure) const;

 private:
  const int fd_;
};

// Calls `run` in a child with `names`; when that ends in the middle of one, or works at one for longer than `limit`,
// another child runs those that follow. The failures by name, in order. Call it before any thread is started.
std::vector<std::pair<std::string, std::string>> RunApart(
    const std::vector<std::string>& names, std::chrono::milliseconds limit,
    const std::function<void(const std::vector<std::string>&, const Progress&)>& run);

}  // namespace allod::bench
