// A Fetcher on libcurl, with one thread for all transfers.
//
// What a stranger's server may cost is bounded: kBytesMax of body, kTimeout (or the request's own) for all of it, no
// redirect, no compression. The address that is connected to is the one that was checked: the check stands where
// libcurl makes the socket, after the name was resolved (so a name that changes its address between the two gains
// nothing).
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "services/common/owned_thread.h"
#include "services/common/web/address_policy.h"
#include "services/common/web/fetcher.h"

namespace allod {

class CurlFetcher final : public Fetcher {
 public:
  static constexpr std::size_t kBytesMax = 64 << 10;
  static constexpr std::chrono::milliseconds kTimeout{4000};
  static constexpr std::size_t kInFlightMax = 256;
  static constexpr std::size_t kWaitingMax = 4096;

  struct Options {
    // Certificates of authorities that are believed instead of the system's; empty: the system's.
    std::string ca_file;
    // As errors say it: who does not connect, and where an operator allows more.
    std::string who = "gateway";
    std::string setting = "issuer_networks_allowed in the gateway's configuration";
  };
  CurlFetcher(AddressPolicy policy, Options options);
  CurlFetcher(AddressPolicy policy, std::string ca_file)
      : CurlFetcher(std::move(policy), Options{.ca_file = std::move(ca_file)}) {}
  ~CurlFetcher() override;  // Stop()
  CurlFetcher(const CurlFetcher&) = delete;

  // Beyond kInFlightMax transfers one waits its turn, kWaitingMax at most.
  void Fetch(FetchRequest request, Done done) override;
  // Ends all transfers, and everything asked for later at once.
  void Stop();

 private:
  struct Transfer;
  struct Curl;
  void Loop(const std::stop_token& stop);
  void StartWaiting();
  void FinishEnded();
  void FailAll();

  const AddressPolicy policy_;
  const Options options_;
  const std::unique_ptr<Curl> curl_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::deque<std::unique_ptr<Transfer>> waiting_;
  OwnedThread thread_;
};

}  // namespace allod
