#include "gateway/http/connection_table.h"

namespace allod::gateway::http {

ConnectionTable::Id ConnectionTable::Enter(const std::string& address, std::function<void()> make_way) {
  const std::lock_guard lock(mutex_);
  const auto from = addresses_.find(address);
  if (from != addresses_.end() && from->second.count >= per_address_max_) {
    if (!MakeRoom(from->second.waiting)) return 0;
  } else if (static_cast<int>(places_.size()) >= connections_max_) {
    if (!MakeRoom(waiting_)) return 0;
  }
  const Id id = ++now_;
  const Rank rank{false, id};
  places_.emplace(id, Place{address, std::move(make_way), rank});
  Address& of_address = addresses_[address];
  ++of_address.count;
  of_address.waiting.emplace(rank, id);
  waiting_.emplace(rank, id);
  return id;
}

bool ConnectionTable::MakeRoom(const Waiting& waiting) {
  if (waiting.empty()) return false;
  const Id id = waiting.begin()->second;
  const std::function<void()> make_way = std::move(places_.at(id).make_way);
  Remove(id);
  make_way();
  return true;
}

bool ConnectionTable::Begin(Id id, bool has_key) {
  const std::lock_guard lock(mutex_);
  const auto it = places_.find(id);
  if (it == places_.end()) return false;
  Place& place = it->second;
  waiting_.erase({place.rank, id});
  addresses_[place.address].waiting.erase({place.rank, id});
  place.is_busy = true;
  if (has_key) place.rank.first = true;
  return true;
}

void ConnectionTable::End(Id id) {
  const std::lock_guard lock(mutex_);
  const auto it = places_.find(id);
  if (it == places_.end() || !it->second.is_busy) return;
  Place& place = it->second;
  place.is_busy = false;
  // What needs no key makes nobody younger.
  if (place.rank.first) place.rank.second = ++now_;
  waiting_.emplace(place.rank, id);
  addresses_[place.address].waiting.emplace(place.rank, id);
}

void ConnectionTable::Leave(Id id) {
  const std::lock_guard lock(mutex_);
  Remove(id);
}

void ConnectionTable::Remove(Id id) {
  const auto it = places_.find(id);
  if (it == places_.end()) return;
  const Place& place = it->second;
  const auto from = addresses_.find(place.address);
  waiting_.erase({place.rank, id});
  from->second.waiting.erase({place.rank, id});
  if (--from->second.count == 0) addresses_.erase(from);
  places_.erase(it);
}

int ConnectionTable::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(places_.size());
}

}  // namespace allod::gateway::http
