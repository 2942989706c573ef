// The services and the gateway as an installation runs them: the real programs, over a database and a Redis of the
// test's own. No node: instances are wanted, and none runs. The catalogue has one listing.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "tests/support/pg_fixture.h"
#include "tests/support/process.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/temp_dir.h"

namespace allod {

class Programs {
 public:
  // Started, and answering; throws std::runtime_error with what they wrote. Needs ALLOD_BUILD_DIR, which ctest gives.
  // `armed`: services that a test arms, by area, each with the environment of its board (tests/support/fault_board.h).
  explicit Programs(std::map<std::string, std::string> armed = {});
  ~Programs();
  Programs(const Programs&) = delete;

  // To the service of that area, "tenancy"; null: there is none.
  std::shared_ptr<grpc::Channel> ChannelTo(const std::string& area) const;
  // SIGKILL; returns when the service of that area answers again.
  void KillAndStartAgain(const std::string& area);
  bool IsRunning(const std::string& area) const { return processes_.at(area)->Running(); }
  int gateway_port() const { return gateway_port_; }
  pid_t PidOf(const std::string& area) const { return processes_.at(area)->pid(); }
  const TestDatabase& database() const { return database_; }

  static constexpr char kListing[] = "listings/starter";
  static constexpr char kVariant[] = "models/starter/versions/v1/variants/q4_k_m";
  static constexpr char kPriceBook[] = "priceBooks/01890000-0000-7000-8000-000000000001";

 private:
  void Start(const std::string& area, const std::string& config);
  void Run(const std::string& area);
  void AwaitAnswer(const std::string& area);
  void FillCatalog() const;
  std::string Target(const std::string& area) const;

  const std::map<std::string, std::string> armed_;
  TempDir dir_;
  TestDatabase database_{std::vector<std::string>{"tenancy", "catalog", "billing", "scheduling"}};
  TestRedis redis_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  int gateway_port_ = 0;
};

}  // namespace allod
