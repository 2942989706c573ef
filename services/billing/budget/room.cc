#include "services/billing/budget/room.h"

#include "services/billing/budget/budget_service.h"
#include "services/billing/budget/pg_budget_store.h"

namespace allod::billing::budget {
namespace {

class BudgetRoom final : public Room {
 public:
  explicit BudgetRoom(const Shared& shared)
      : store_(shared.desk), service_(store_, shared.clock, shared.gates, shared.recalls) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }

 private:
  PgBudgetStore store_;
  BudgetServiceImpl service_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<PlainRoomPlan<BudgetRoom>>(); }

}  // namespace allod::billing::budget
