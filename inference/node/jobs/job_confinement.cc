#include "inference/node/jobs/job_confinement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "inference/zygote/uid_maps.h"

namespace allod::inference::node::jobs {
namespace {

constexpr char kGroup[] = "job";  // one job at a time
constexpr int kMessagesAtOnceMax = 16;
// Threads of the computation, and those of the program itself.
constexpr int kThreadsBeside = 32;
// For whoever has the group of the directory; the job's process is not the file's owner.
constexpr mode_t kFileMode = 0660;

std::unexpected<Error> FilesFailed(std::string_view what) {
  if (errno == ENOSPC || errno == EDQUOT) {
    return Fail(Code::kResourceExhausted, "DISK_FULL",
                "there is no room for the job's files; free space and try again");
  }
  return Fail(Code::kInternal, "JOB_FILES", fmt::format("{}: {}", what, std::strerror(errno)));
}

Result<OwnedFd> OpenToRead(const std::filesystem::path& path, std::string_view what) {
  OwnedFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return NotFound(fmt::format("the {} cannot be opened: {}", what, std::strerror(errno)));
  return fd;
}

Result<OwnedFd> MakeFile(const std::filesystem::path& path) {
  OwnedFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd || fchmod(fd.get(), kFileMode) != 0) return FilesFailed("making the job's output");
  return fd;
}

// Nobody else can have it by name.
Result<OwnedFd> MakeNamelessFile(const std::filesystem::path& beside) {
  OwnedFd fd(open(beside.parent_path().c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!fd) {  // not every file system can
    const std::string name = beside.string() + ".scratch";
    fd = OwnedFd(open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd) unlink(name.c_str());
  }
  if (!fd || fchmod(fd.get(), kFileMode) != 0) return FilesFailed("making the job's scratch file");
  return fd;
}

}  // namespace

Result<JobConfinement> JobConfinement::Prepare(const JobFilePaths& paths, const JobAllowance& allowance,
                                               process::Cgroups& cgroups) {
  JobConfinement out(cgroups, allowance);
  ALLOD_TRY(auto channels, zygote::Channel::MakePair());
  out.agent_ = std::move(channels.first);
  out.process_ = std::move(channels.second);
  ALLOD_CHECK_OK(out.OpenFiles(paths));
  return out;
}

Status JobConfinement::OpenFiles(const JobFilePaths& paths) {
  ALLOD_TRY(input_, OpenToRead(paths.input, "model"));
  ALLOD_TRY(text_, OpenToRead(paths.evaluation_text, "evaluation text"));
  ALLOD_TRY(output_, MakeFile(paths.output));
  if (paths.scratch) {
    ALLOD_TRY(scratch_, MakeNamelessFile(paths.output));
  }
  if (geteuid() != 0) return {};
  for (const OwnedFd* file : {&input_, &output_}) {
    struct stat info {};
    if (fstat(file->get(), &info) != 0) return FilesFailed("looking at the job's files");
    if (std::ranges::find(groups_, info.st_gid) == groups_.end()) groups_.push_back(info.st_gid);
  }
  return {};
}

JobConfinement::~JobConfinement() {
  if (started_) cgroups_->Remove(kGroup);
}

std::vector<int> JobConfinement::fds() const {
  std::vector<int> out = {process_.fd(), input_.get(), text_.get(), output_.get()};
  if (scratch_) out.push_back(scratch_.get());
  return out;
}

void JobConfinement::Started(int pid) {
  pid_ = pid;
  started_ = true;
  process_ = zygote::Channel();
  for (OwnedFd* file : {&input_, &text_, &output_, &scratch_}) file->Reset();
}

void JobConfinement::Answer() {
  for (int round = 0; agent_ && round < kMessagesAtOnceMax; ++round) {
    auto received = agent_.Receive(/*wait=*/false);
    if (!received) {  // it has what it wanted, or is gone
      agent_ = zygote::Channel();
      return;
    }
    if (!*received) return;
    const std::string type = (*received)->type();
    if (type == "start") {
      const auto layers = cgroups_->Confine(
          kGroup, pid_,
          {.memory_bytes_max = allowance_.memory_bytes, .processes_max = allowance_.threads + kThreadsBeside});
      (void)agent_.Send({{"type", "go"}, {"layers", layers}, {"uid", allowance_.first_uid}});
    } else if (type == "map") {
      zygote::GiveUids(agent_, pid_, allowance_.first_uid, "a job");
    }
  }
}

}  // namespace allod::inference::node::jobs
