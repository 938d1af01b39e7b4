"""One good row of each table that a set may have or lack, about the one person of ``extract_set``."""

from extract_set import nhs

APPOINTMENT = {
    "org_code": "A10001",
    "source_slot_id": "a1",
    "source_patient_id": "p1",
    "start_at": "2025-12-01 09:10:00",
    "booked_at": "2025-11-20 08:00:00",
    "duration_min": "10",
    "status": "ATTENDED",
    "mode": "face_to_face",
    "clinician_role": "practice_nurse",
}
REFERRAL = {
    "provider_code": "RZZ01",
    "referral_id": "f1",
    "nhs_number": nhs(1),
    "referral_date": "2025-10-01",
    "referring_practice_code": "A10001",
    "service": "pulmonary_rehabilitation",
    "priority": "routine",
    "status": "waiting",
}
VISIT = {
    "org_code": "A10001",
    "request_id": "v1",
    "source_patient_id": "p1",
    "requested_at": "2025-12-24 16:30:00",
    "requested_by": "care_home",
    "reason_code": "267036007",
    "outcome": "visited",
    "visited_at": "2025-12-24 18:00:00",
}
CONTACT = {
    "provider_code": "RZZ02",
    "contact_id": "c1",
    "nhs_number": nhs(1),
    "nhs_number_status": "01",
    "contact_date": "2026-01-04",
    "team": "district_nursing",
    "contact_mode": "home_visit",
    "attended": "5",
    "is_planned": "true",
}
ACTIVITY = {
    "source": "LIST_RETURN",
    "activity_id": "1",
    "nhs_number": nhs(1),
    "pathway": "copd",
    "step": "declined",
    "activity_date": "2025-12-15",
    "clinic_id": "copd_clinic",
    "reason_code": "too_far",
    "recorded_by_role": "respiratory_nurse",
}
AREA = {
    "area_version": "2021",
    "lsoa_code": "E01000001",
    "imd_version": "2025",
    "imd_rank": "1",
    "imd_decile": "1",
    "local_authority_code": "E06000001",
}
TRACE = {
    "nhs_number": nhs(2),
    "surviving_nhs_number": nhs(1),
    "trace_outcome": "90",
    "traced_date": "2025-11-20",
}
BEDS = {
    "care_home_id": "1-100",
    "month_start_date": "2025-12-01",
    "practice_code": "A10001",
    "bed_count": "40",
    "occupied_bed_count": "36",
}
SURVEY = {
    "survey": "gp_patient_survey",
    "question": "gp_care_joined_up",
    "practice_code": "A10001",
    "period_end_date": "2025-04-01",
    "period_start_date": "2025-01-02",
    "answer_count": "100",
    "positive_answer_count": "70",
}
SOCIAL = {
    "council_code": "E10000099",
    "event_id": "s1",
    "nhs_number": nhs(1),
    "kind": "reablement_after_discharge",
    "start_date": "2025-09-01",
    "end_date": "2025-10-01",
}
PREFERENCE = {
    "provider_code": "RZZ02",
    "record_id": "w1",
    "nhs_number": nhs(1),
    "recorded_date": "2025-09-01",
    "preferred_place": "home",
}
GOOD = {
    "nhs_number_trace": TRACE,
    "gp_appointment": APPOINTMENT,
    "referral": REFERRAL,
    "home_visit_request": VISIT,
    "community_contact": CONTACT,
    "pathway_activity": ACTIVITY,
    "lsoa": AREA,
    "care_home_bed": BEDS,
    "survey_result": SURVEY,
    "social_care_event": SOCIAL,
    "place_preference": PREFERENCE,
}
