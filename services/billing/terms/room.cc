#include "services/billing/terms/room.h"

#include "services/billing/terms/pg_terms_store.h"
#include "services/billing/terms/terms_service.h"

namespace allod::billing::terms {
namespace {

class TermsRoom final : public Room {
 public:
  explicit TermsRoom(const Shared& shared) : store_(shared.desk), service_(store_, shared.clock, shared.gates) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }

 private:
  PgTermsStore store_;
  PriceTermsServiceImpl service_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<PlainRoomPlan<TermsRoom>>(); }

}  // namespace allod::billing::terms
