// The agent's end of a job process's sandbox (inference/compress/confine.h): its control group, its users, and the
// files that it works on, which it gets as descriptors and nothing else.
//
// Not thread-safe. Destroying it removes the control group; do so after the process ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "inference/node/process/cgroups.h"
#include "inference/zygote/channel.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::node::jobs {

struct JobFilePaths {
  std::filesystem::path input;
  std::filesystem::path evaluation_text;
  std::filesystem::path output;  // is made, and stays where it is
  bool scratch = false;          // a second file, without a name, beside the output
};

// What a job may use.
struct JobAllowance {
  std::uint32_t first_uid = 0;  // of the block of uids that is the jobs'; 0: none
  std::int64_t memory_bytes = 0;
  std::int32_t threads = 1;
};

class JobConfinement {
 public:
  // NOT_FOUND when a file to read is not there; RESOURCE_EXHAUSTED / DISK_FULL, INTERNAL / JOB_FILES.
  static Result<JobConfinement> Prepare(const JobFilePaths& paths, const JobAllowance& allowance,
                                        process::Cgroups& cgroups);
  ~JobConfinement();
  JobConfinement(JobConfinement&&) noexcept = default;  // only before Started
  JobConfinement& operator=(JobConfinement&&) = delete;

  // Descriptors 3, 4, ... of the process, in the order of compress/main.cc.
  std::vector<int> fds() const;
  // The groups by which it may open its files again; nothing unless this process may choose groups.
  const std::vector<gid_t>& groups() const { return groups_; }

  // For poll(): readable when the process wants something; -1 at the end.
  int fd() const { return agent_.fd(); }
  // After the process was started: its end of the channel is its own.
  void Started(int pid);
  // Answers what can be answered without waiting.
  void Answer();

 private:
  JobConfinement(process::Cgroups& cgroups, const JobAllowance& allowance)
      : cgroups_(&cgroups), allowance_(allowance) {}
  Status OpenFiles(const JobFilePaths& paths);

  process::Cgroups* cgroups_;
  JobAllowance allowance_;
  zygote::Channel agent_;
  zygote::Channel process_;
  OwnedFd input_;
  OwnedFd text_;
  OwnedFd output_;
  OwnedFd scratch_;
  std::vector<gid_t> groups_;
  int pid_ = 0;
  bool started_ = false;
};

}  // namespace allod::inference::node::jobs
