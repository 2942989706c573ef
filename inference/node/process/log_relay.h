// What a child says on its standard error goes to our log, at a bounded rate; its last line is kept for when it ends.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace allod::inference::node::process {

class LogRelay {
 public:
  // `who` goes into every line, e.g. the instance's name.
  explicit LogRelay(std::string who) : who_(std::move(who)) {}

  void Rename(std::string who) { who_ = std::move(who); }
  void Take(std::vector<std::string> lines);
  // Of a process that gave up with {"code","reason","message"}: "REASON: message"; else the last line.
  std::string LastWords() const;

 private:
  std::string who_;
  std::string last_line_;
  int lines_this_second_ = 0;
  std::chrono::seconds second_{};
};

}  // namespace allod::inference::node::process
