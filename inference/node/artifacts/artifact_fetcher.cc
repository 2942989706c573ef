#include "inference/node/artifacts/artifact_fetcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "services/common/catching.h"

namespace allod::inference::node::artifacts {

ArtifactFetcher::ArtifactFetcher(Artifacts& artifacts, Done done)
    : artifacts_(artifacts),
      done_(std::move(done)),
      thread_("artifact fetcher", [this](const std::stop_token& stop) { Run(stop); }) {}

ArtifactFetcher::~ArtifactFetcher() = default;

void ArtifactFetcher::Fetch(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(queue_, sha256) == queue_.end()) queue_.push_back(sha256);
  work_.notify_one();
}

void ArtifactFetcher::Run(const std::stop_token& stop) {
  while (true) {
    std::string sha256;
    {
      std::unique_lock lock(mutex_);
      if (!work_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
      sha256 = queue_.front();
    }
    std::optional<Result<Blob>> blob;
    const Status threw = Catching("fetch an artifact", [&]() -> Status {
      blob = artifacts_.Ensure(sha256, stop);
      return {};
    });
    if (!blob) blob = std::unexpected(threw.error());
    {
      const std::lock_guard lock(mutex_);
      queue_.pop_front();
    }
    if (!stop.stop_requested()) done_(sha256, *blob);
  }
}

}  // namespace allod::inference::node::artifacts
