// One child process: started with its output in pipes, watched through a pidfd, killed by the kernel when the thread
// that started it ends (so start it from a thread that lives as long as the process shall).
//
// The child gets its own process group (a Ctrl-C at the terminal is for the agent, which then stops its children in
// order), the default signal mask, and no descriptor but 0 (/dev/null), 1, 2 and those it shall inherit. Not
// thread-safe. Destroying it kills and reaps.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/node/pool/process_exit.h"
#include "services/common/owned_fd.h"
#include "services/common/process/owned_child.h"
#include "services/common/result.h"

namespace allod::inference::node::process {

// Cuts a byte stream into lines of at most `line_bytes_max`; what is longer is cut and the rest of that line dropped.
class LineReader {
 public:
  explicit LineReader(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}
  std::vector<std::string> Feed(std::string_view bytes);
  // The last line when it has no newline.
  std::optional<std::string> Finish();

 private:
  std::size_t line_bytes_max_;
  std::string line_;
};

struct ChildOptions {
  std::vector<std::string> command;  // absolute path of the program first
  int niceness = 0;
  std::vector<int> inherit;  // become descriptors 3, 4, ... of the child
  // The supplementary groups; nothing: this process's own.
  std::vector<gid_t> groups;
  // Else standard output goes where standard error goes.
  bool capture_stdout = false;
};

class ChildProcess {
 public:
  // UNAVAILABLE / CANNOT_START_PROCESS. A program that cannot be executed ends with status 127 and says so on its
  // stderr.
  static Result<ChildProcess> Start(const ChildOptions& options);
  ChildProcess(ChildProcess&&) noexcept = default;
  ChildProcess& operator=(ChildProcess&&) = delete;

  int pid() const { return process_.pid(); }
  // For poll(): readable when the process has ended.
  int exit_fd() const { return process_.exit_fd(); }
  // Non-blocking; -1 when not captured or after the end of the stream was read.
  int stdout_fd() const { return stdout_.get(); }
  int stderr_fd() const { return stderr_.get(); }

  // Lines that can be read without waiting.
  std::vector<std::string> ReadStdout() { return Drain(stdout_, stdout_lines_); }
  std::vector<std::string> ReadStderr() { return Drain(stderr_, stderr_lines_); }

  void Signal(int signal) { process_.Signal(signal); }
  // Once it has ended (last_line is left empty); nothing before.
  std::optional<pool::ProcessExit> TryReap();

 private:
  ChildProcess() = default;
  static std::vector<std::string> Drain(OwnedFd& fd, LineReader& lines);

  OwnedChild process_;
  OwnedFd stdout_;
  OwnedFd stderr_;
  LineReader stdout_lines_{256 << 10};
  LineReader stderr_lines_{2 << 10};
};

}  // namespace allod::inference::node::process
