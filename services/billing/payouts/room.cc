#include "services/billing/payouts/room.h"

#include "services/billing/payouts/payout_service.h"
#include "services/billing/payouts/pg_payout_store.h"

namespace allod::billing::payouts {
namespace {

class PayoutsRoom final : public Room {
 public:
  explicit PayoutsRoom(const Shared& shared)
      : store_(shared.desk), service_(store_, shared.typesetter, shared.clock, shared.gates) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }

 private:
  PgPayoutStore store_;
  PayoutServiceImpl service_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<PlainRoomPlan<PayoutsRoom>>(); }

}  // namespace allod::billing::payouts
