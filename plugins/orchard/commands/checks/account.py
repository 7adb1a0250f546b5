"""Who asks, and where."""

from orchard.commands.checks import Check, Failed, Subject, error_code


def credentials(subject: Subject) -> str:
    """Look whether there are credentials that AWS takes."""
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound

    remedy = (
        "Give Airflow's machine a role, or fill the connection aws_default, or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY where Airflow runs."
    )
    try:
        who = subject.client("sts").get_caller_identity()
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Failed(str(error), remedy) from error
    except ProfileNotFound as error:
        raise Failed(
            f"{error}", "Set AWS_PROFILE to a profile that AWS' configuration has, or take it away."
        ) from error
    except ClientError as error:
        raise Failed(f"{error_code(error)}: {error.response['Error'].get('Message', '')}", remedy) from error
    return f"{who['Arn']} in account {who['Account']}"


def region(subject: Subject) -> str:
    """Look whether the account may use the region."""
    from botocore.exceptions import ClientError

    name = subject.settings.region
    try:
        found = subject.client("ec2").describe_regions(RegionNames=[name], AllRegions=True)["Regions"]
    except ClientError as error:
        if error_code(error) == "InvalidParameterValue":
            found = []
        else:
            raise
    if not found:
        raise Failed(f"AWS knows no region {name}", "Mend the setting region.")
    if found[0].get("OptInStatus") == "not-opted-in":
        raise Failed(
            f"{name} is not enabled in this account",
            f"aws account enable-region --region-name {name}; or another region in the settings.",
        )
    outside = " (outside the EU, as the settings say outright)" if subject.settings.outside_eu else ""
    return f"{name}{outside}"


CHECKS = (Check("region", region),)
CREDENTIALS = Check("credentials", credentials, needed=True)
