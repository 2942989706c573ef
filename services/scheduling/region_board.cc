#include "services/scheduling/region_board.h"

namespace allod::scheduling {

RegionBoard::Seen RegionBoard::Read() const {
  const std::scoped_lock lock(mutex_);
  return seen_;
}

std::uint64_t RegionBoard::Put(const std::vector<RegionVersion>& versions) {
  std::uint64_t number = 0;
  {
    const std::scoped_lock lock(mutex_);
    for (const RegionVersion& version : versions) {
      RegionVersion& newest = newest_.try_emplace(version.id, version).first->second;
      if (newest.version < version.version) newest = version;
    }
    auto regions = std::make_shared<Regions>();
    for (const auto& [id, newest] : newest_) regions->rows.push_back(newest);
    regions->places = PlacesOf(regions->rows);
    seen_ = {seen_.number + 1, std::move(regions)};
    number = seen_.number;
  }
  news_.Notify();
  return number;
}

bool RegionBoard::AwaitInForce(std::uint64_t number, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, wait, [&] { return in_force_ >= number; });
}

void RegionBoard::SetInForce(std::uint64_t number) {
  {
    const std::scoped_lock lock(mutex_);
    in_force_ = number;
  }
  changed_.notify_all();
}

Status CheckRead(const RegionBoard::Seen& seen) {
  if (seen.regions != nullptr) return {};
  return Fail(Code::kUnavailable, "REGIONS_NOT_READ",
              "the regions were not read from the database yet; try again in a moment");
}

}  // namespace allod::scheduling
