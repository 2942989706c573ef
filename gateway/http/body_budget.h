// How many bytes of request bodies that are still arriving this process takes in, all connections together.
//
// A body is admitted before any byte of it is read, for the most that it can have: its Content-Length, or the limit of
// a body when it is chunked. So who came first is served to the end, and who comes when nothing is left is told at once
// to come again. Nobody can take it all: an API key holds at most a quarter; a tenant, with all its keys, never more
// than what it then leaves free: the first to take all it can leaves half, the next half of that. Thread-safe.
#pragma once

#include <cstddef>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_map>

#include "services/common/result.h"

namespace allod::gateway::http {

// On whose account a body is read.
struct BodyAccount {
  std::string tenant;
  std::string key;
  std::size_t bytes_max = std::numeric_limits<std::size_t>::max();  // where less is taken than a body may have
  bool is_stranger = false;                                         // no key was asked for; `key` stands for an address
};

class BodyBudget {
 public:
  explicit BodyBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  BodyBudget(const BodyBudget&) = delete;

  // Holds its bytes until it is destroyed. The budget must outlive it.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold() { Release(); }
    void Release();

   private:
    friend class BodyBudget;
    BodyBudget* budget_ = nullptr;
    BodyAccount account_;
    std::size_t bytes_ = 0;
  };

  // UNAVAILABLE / BODIES_IN_FLIGHT, with a time to retry after; the message says whose share is used up.
  Result<Hold> Admit(const BodyAccount& account, std::size_t bytes);
  std::size_t used() const;

 private:
  using Shares = std::unordered_map<std::string, std::size_t>;
  static std::size_t HeldBy(const Shares& shares, const std::string& name);
  static void Subtract(Shares& shares, const std::string& name, std::size_t bytes);

  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::size_t used_ = 0;
  Shares tenants_;  // only who holds something
  Shares keys_;
};

}  // namespace allod::gateway::http
