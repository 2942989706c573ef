#include "services/billing/rooms.h"

#include <utility>

#include "services/billing/analysis/room.h"
#include "services/billing/budget/room.h"
#include "services/billing/corrections/room.h"
#include "services/billing/events/room.h"
#include "services/billing/instance_time/room.h"
#include "services/billing/payouts/room.h"
#include "services/billing/terms/room.h"
#include "services/billing/wallet/room.h"

namespace allod::billing {

std::vector<std::unique_ptr<RoomPlan>> PlanRooms() {
  std::vector<std::unique_ptr<RoomPlan>> plans;
  plans.push_back(terms::PlanRoom());
  plans.push_back(corrections::PlanRoom());
  plans.push_back(payouts::PlanRoom());
  plans.push_back(events::PlanRoom());
  plans.push_back(wallet::PlanRoom());
  plans.push_back(budget::PlanRoom());
  plans.push_back(instance_time::PlanRoom());
  plans.push_back(analysis::PlanRoom());
  return plans;
}

}  // namespace allod::billing
