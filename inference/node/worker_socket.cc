#include "inference/node/worker_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <system_error>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "inference/node/child_process.h"
#include "services/common/rpc/client.h"

namespace allod::inference::node {
namespace {

namespace fs = std::filesystem;

constexpr auto kAnswerTimeout = std::chrono::milliseconds(500);

bool SomebodyListens(const fs::path& path) {
  sockaddr_un address{};
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, text.data(), text.size());
  const OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

}  // namespace

fs::path WorkerSocket(const fs::path& run_dir, const DesiredWorker& worker, std::int32_t start_number) {
  const std::string& uid = worker.replica_uid;
  return run_dir /
         fmt::format("w-{}-{}.sock", uid.substr(uid.size() - std::min<std::size_t>(uid.size(), 12)), start_number);
}

Status PrepareRunDir(const fs::path& run_dir) {
  std::error_code error;
  fs::create_directories(run_dir, error);
  if (!fs::is_directory(run_dir, error)) {
    return FailedPrecondition("NO_RUN_DIR", fmt::format("{} cannot be made a directory", run_dir.string()));
  }
  for (const auto& entry : fs::directory_iterator(run_dir, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (name.starts_with("w-") && name.ends_with(".sock") && entry.is_socket(ignored))
      fs::remove(entry.path(), ignored);
  }
  if (error) return FailedPrecondition("NO_RUN_DIR", fmt::format("{}: {}", run_dir.string(), error.message()));
  return {};
}

bool WorkerAnswers(const fs::path& socket, const DesiredWorker& worker, const Caller& caller) {
  if (!SomebodyListens(socket)) return false;
  const auto channel = MakeChannel("unix:" + socket.string());
  const auto stub = v1::WorkerService::NewStub(channel);
  const auto status = Call<v1::WorkerService::Stub, v1::GetWorkerStatusRequest, v1::WorkerStatus>(
      *stub, &v1::WorkerService::Stub::GetWorkerStatus, {}, caller, kAnswerTimeout);
  return status && status->instance() == worker.instance && status->artifact_sha256() == worker.artifact_sha256;
}

}  // namespace allod::inference::node
