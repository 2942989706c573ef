// Who may be connected at once, in all and from one address, and who makes way when all places are taken, so that
// connections which cost a stranger nothing shut nobody out.
//
// A connection with a request in progress stays. Of the others, who never had a request with a valid key goes first,
// the longest connected before the rest; then who waits between two requests, the longest idle before the rest. What a
// connection costs does not depend on how many there are. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace allod::gateway::http {

class ConnectionTable {
 public:
  using Id = std::uint64_t;

  ConnectionTable(int connections_max, int per_address_max)
      : connections_max_(connections_max), per_address_max_(per_address_max) {}
  ConnectionTable(const ConnectionTable&) = delete;

  // The newcomer's place; 0 when everybody who would have to make way has a request in progress. `make_way` is called
  // at most once, from any thread and with the table locked: it asks for the connection's end and does not wait for it.
  Id Enter(const std::string& address, std::function<void()> make_way);
  // A request is in progress from now on; `has_key`: with a valid key. False if the connection was told to make way:
  // then it must not begin.
  bool Begin(Id id, bool has_key);
  void End(Id id);
  void Leave(Id id);
  int count() const;

 private:
  // Who makes way first: strangers before clients, then by the time since which.
  using Rank = std::pair<bool, std::uint64_t>;
  using Waiting = std::set<std::pair<Rank, Id>>;
  struct Place {
    std::string address;
    std::function<void()> make_way;
    Rank rank;
    bool is_busy = false;
  };
  struct Address {
    int count = 0;
    Waiting waiting;
  };
  // With the lock held:
  bool MakeRoom(const Waiting& waiting);
  void Remove(Id id);

  const int connections_max_;
  const int per_address_max_;
  mutable std::mutex mutex_;
  std::uint64_t now_ = 0;  // counts what happens
  std::unordered_map<Id, Place> places_;
  std::unordered_map<std::string, Address> addresses_;  // somebody is connected from
  Waiting waiting_;
};

}  // namespace allod::gateway::http
