"""An org with quality objects that records are filed in, and the section that files there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.compliancequest import TicketSettings, open_tickets
from connectors.compliancequest.tickets import ComplianceQuestTickets
from reconciler.sdk.tickets import Ticket
from tests.simulators.salesforce.org import Org, User
from tests.simulators.salesforce.server import App, Salesforce

SECRET = "planted-Secret/of+the=app"
NC = "compliancequest__SQX_Nonconformance__c"
TITLE, BODY = "compliancequest__NC_Title__c", "compliancequest__Description__c"
STATUS, KEY = "compliancequest__Status__c", "Reconciler_Key__c"
RISK = "Acme_Risk_Acceptance__c"
PART = "compliancequest__SQX_Part__c"


def org() -> Org:
    """Make the objects, without records."""
    made = Org()
    made.entity("User", "Username:string", "Email:email")
    made.entity("Group")
    nc = [f"{TITLE}:string", f"{BODY}:textarea", f"{STATUS}:picklist", f"{PART}:string", "Outcome__c:textarea"]
    made.entity("Account", "Code__c:string!")
    nc += ["compliancequest__SQX_Account__c:reference>Account"]
    made.entity(NC, f"{KEY}:string!", "Loose__c:string?", "compliancequest__Type_Of_Issue__c:picklist", *nc)
    made.entity("FeedItem", "ParentId:string", "Type:picklist", "Body:textarea(10000)", "CreatedById:reference>User")
    risk = ["Reason__c:textarea", "Ends__c:date", "Ends_At__c:datetime", "State__c:picklist", "Approver__c:string"]
    made.entity(RISK, f"{KEY}:string!", *risk)
    return made


def filer(made: Org, **more: Any) -> User:
    """Add the running user with every right that filing needs."""
    everything = set(made.entities)
    given = {"reads": everything, "view_all": {NC, RISK}, "edits": {NC, RISK, "FeedItem"}}
    user = made.user("filer@acme.test", **(given | more))
    made.entities["User"].rows[user.id] = {"Id": user.id, "Name": "Reconciler", "IsDeleted": False, "OwnerId": user.id}
    return user


def running(**more: Any) -> Salesforce:
    """Make the simulator of such an org, not started yet."""
    made = org()
    return Salesforce(made, tls=False, apps=[App("the-client", filer(made, **more), secret=SECRET)])


def section(url: str, **changes: Any) -> dict[str, Any]:
    """Return the section that files there."""
    given = {"connector": "compliancequest", "domain": url, "client_id": "the-client", "client_secret": "env:CQ_SECRET"}
    return given | {"max_attempts": 2, "resolution_field": "Outcome__c"} | changes


def opened(url: str, *, name: str = "qms", **changes: Any) -> ComplianceQuestTickets:
    """Make the ticket system."""
    return open_tickets(name, TicketSettings.model_validate(section(url, **changes)), Path("/"))


def ticket(number: int = 1, **changes: Any) -> Ticket:
    """Return a ticket to file."""
    about = f"NC-{number:06}"
    given = {"title": f"{about}: a leaver can sign in", "body": "It does not hold.\n\n- F-1: u-1001\n"}
    return Ticket(**({"key": f"rec-acme-{about.lower()}", "severity": "high"} | given | changes))
