// Takes what supervised processes write to standard output and error, through a pipe each, and keeps it in files of
// bounded size. One thread, from construction to destruction. Thread-safe.
//
// Why pipes: a process that writes to a file itself can only be made to leave it by its own doing (PostgreSQL and Redis
// would each need another way), and copying a file and truncating it loses what comes in between. Here the one writer
// is the one that rotates, so no line is lost and none is cut. The price: what a process wrote in the last moment
// before this one is killed by kill -9 can stay in its pipe; but then it is killed as well.
//
// What one round throws is the end of that round: this thread is of the process that supervises all others.
//
// A process never waits for the disk: the pipe holds 1 MiB, and what the disk does not take is counted, not kept back.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "cli/supervisor/rotating_file.h"
#include "services/common/owned_fd.h"
#include "services/common/owned_thread.h"
#include "services/common/result.h"
#include "services/common/wake_fd.h"

namespace allod::cli::supervisor {

class LogCollector {
 public:
  explicit LogCollector(LogLimits limits = {});
  // Takes what is in the pipes still, and joins.
  ~LogCollector() = default;
  LogCollector(const LogCollector&) = delete;

  // The end of a new pipe for a process to write to, which belongs to the caller (close-on-exec). What comes out goes
  // to `file`, line by line, also when several pipes have the same file. INTERNAL / NO_PIPE.
  Result<OwnedFd> Open(const std::filesystem::path& file);
  // Returns when everything that was in the pipes is in the files.
  void Flush();

 private:
  struct Source {
    OwnedFd fd;
    RotatingFile* file;
    std::string partial;  // a line without its end
  };

  void Loop(const std::stop_token& stop);
  // mutex_ held. False at the end of the pipe.
  bool Drain(Source& source);
  void DrainAll();

  const LogLimits limits_;
  const WakeFd wake_;
  std::mutex mutex_;
  std::map<std::filesystem::path, std::unique_ptr<RotatingFile>> files_;
  std::vector<std::unique_ptr<Source>> sources_;
  OwnedThread thread_;  // last: it uses everything above
};

}  // namespace allod::cli::supervisor
