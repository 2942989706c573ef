// Shows how far long work is: one line that is rewritten on a terminal, a line at each change of phase elsewhere. On
// standard error, so that standard output stays clean for data.
#pragma once

#include <chrono>
#include <string>

namespace allod::cli::terminal {

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;

  // `fraction` 0 to 1, negative when unknown.
  void Show(const std::string& phase, double fraction);
  // What stands on the line at the end.
  void Finish(const std::string& result);

 private:
  std::string what_;
  std::string last_phase_;
  bool terminal_;
  bool open_ = false;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace allod::cli::terminal
